// The part of ONNX Runtime's C API that package ort uses.
//
// OrtApi is an append-only table of function pointers, so a slot's number never
// changes between releases: this header names the slots used and gives each a
// typed call. Source: onnxruntime_c_api.h, struct OrtApi, API version 18 (1.18).
#ifndef TRAINWRIGHT_ORT_API_H
#define TRAINWRIGHT_ORT_API_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define ORT_API_NEEDED 18

typedef void *const *OrtTable;

enum OrtSlot {
  Slot_GetErrorCode = 1,
  Slot_GetErrorMessage = 2,
  Slot_CreateEnv = 3,
  Slot_CreateSessionFromArray = 8,
  Slot_CreateSessionOptions = 10,
  Slot_SetOptimizedModelFilePath = 11,
  Slot_EnableMemPattern = 16,
  Slot_DisableMemPattern = 17,
  Slot_DisableCpuMemArena = 19,
  Slot_SetSessionLogSeverityLevel = 22,
  Slot_SetSessionGraphOptimizationLevel = 23,
  Slot_SetIntraOpNumThreads = 24,
  Slot_SetInterOpNumThreads = 25,
  Slot_SessionGetInputCount = 30,
  Slot_SessionGetOutputCount = 31,
  Slot_SessionGetInputTypeInfo = 33,
  Slot_SessionGetOutputTypeInfo = 34,
  Slot_SessionGetInputName = 36,
  Slot_SessionGetOutputName = 37,
  Slot_CreateRunOptions = 39,
  Slot_RunOptionsSetTerminate = 46,
  Slot_RunOptionsUnsetTerminate = 47,
  Slot_CreateTensorAsOrtValue = 48,
  Slot_CreateTensorWithDataAsOrtValue = 49,
  Slot_GetTensorMutableData = 51,
  Slot_CastTypeInfoToTensorInfo = 55,
  Slot_GetTensorElementType = 60,
  Slot_GetDimensionsCount = 61,
  Slot_GetDimensions = 62,
  Slot_GetTensorTypeAndShape = 65,
  Slot_CreateMemoryInfo = 68,
  Slot_CreateCpuMemoryInfo = 69,
  Slot_AllocatorFree = 76,
  Slot_GetAllocatorWithDefaultOptions = 78,
  Slot_ReleaseStatus = 93,
  Slot_ReleaseMemoryInfo = 94,
  Slot_ReleaseSession = 95,
  Slot_ReleaseValue = 96,
  Slot_ReleaseRunOptions = 97,
  Slot_ReleaseTypeInfo = 98,
  Slot_ReleaseTensorTypeAndShapeInfo = 99,
  Slot_ReleaseSessionOptions = 100,
  Slot_GetAvailableProviders = 125,
  Slot_ReleaseAvailableProviders = 126,
  Slot_AddSessionConfigEntry = 130,
  Slot_CreateAllocator = 131,
  Slot_ReleaseAllocator = 132,
  Slot_RunWithBinding = 133,
  Slot_CreateIoBinding = 134,
  Slot_ReleaseIoBinding = 135,
  Slot_BindInput = 136,
  Slot_BindOutput = 137,
  Slot_BindOutputToDevice = 138,
  Slot_GetBoundOutputValues = 140,
  Slot_CreateAndRegisterAllocator = 144,
  Slot_CreateArenaCfg = 156,
  Slot_ReleaseArenaCfg = 157,
  Slot_SynchronizeBoundInputs = 202,
  Slot_SynchronizeBoundOutputs = 203,
  Slot_SessionOptionsAppendExecutionProvider_CUDA_V2 = 204,
  Slot_CreateCUDAProviderOptions = 205,
  Slot_UpdateCUDAProviderOptions = 206,
  Slot_ReleaseCUDAProviderOptions = 208,
  Slot_RegisterCustomOpsLibrary_V2 = 228,
  Slot_SetDeterministicCompute = 273,
};

// Values of ONNX Runtime's enums that are used.
enum {
  OrtDeviceAllocator = 0,
  OrtArenaAllocator = 1,
  OrtMemTypeDefault = 0,
  OrtMemTypeCPUOutput = -1,
  OrtLoggingLevelError = 3,
};

// Opaque objects are void pointers: the shim never looks inside them.
// A call returns NULL, or a status that the caller releases.

// ort_load opens the library and returns its function table. On failure it
// returns NULL and points err at a malloc'ed text. version stays the library's.
OrtTable ort_load(const char *path, const char **version, char **err);

// ort_alloc returns zeroed memory, aligned for vector instructions; free() releases it.
void *ort_alloc(size_t bytes);

void *ort_CreateEnv(OrtTable t, int level, const char *logid, void **out);
void *ort_CreateSessionFromArray(OrtTable t, void *env, void *data, size_t length, void *options, void **out);
void *ort_CreateSessionOptions(OrtTable t, void **out);
void *ort_SetOptimizedModelFilePath(OrtTable t, void *options, const char *path);
void *ort_EnableMemPattern(OrtTable t, void *options);
void *ort_DisableMemPattern(OrtTable t, void *options);
void *ort_DisableCpuMemArena(OrtTable t, void *options);
void *ort_SetSessionLogSeverityLevel(OrtTable t, void *options, int level);
void *ort_SetSessionGraphOptimizationLevel(OrtTable t, void *options, int level);
void *ort_SetIntraOpNumThreads(OrtTable t, void *options, int threads);
void *ort_SetInterOpNumThreads(OrtTable t, void *options, int threads);
void *ort_SessionGetInputCount(OrtTable t, void *session, size_t *out);
void *ort_SessionGetOutputCount(OrtTable t, void *session, size_t *out);
void *ort_SessionGetInputTypeInfo(OrtTable t, void *session, size_t index, void **out);
void *ort_SessionGetOutputTypeInfo(OrtTable t, void *session, size_t index, void **out);
void *ort_SessionGetInputName(OrtTable t, void *session, size_t index, void *allocator, char **out);
void *ort_SessionGetOutputName(OrtTable t, void *session, size_t index, void *allocator, char **out);
void *ort_CreateRunOptions(OrtTable t, void **out);
void *ort_RunOptionsSetTerminate(OrtTable t, void *options);
void *ort_RunOptionsUnsetTerminate(OrtTable t, void *options);
void *ort_CreateTensorAsOrtValue(OrtTable t, void *allocator, const int64_t *shape, size_t rank, int type, void **out);
void *ort_CreateTensorWithDataAsOrtValue(OrtTable t, void *info, void *data, size_t bytes, const int64_t *shape, size_t rank, int type, void **out);
void *ort_GetTensorMutableData(OrtTable t, void *value, void **out);
void *ort_CastTypeInfoToTensorInfo(OrtTable t, void *info, void **out);
void *ort_GetTensorElementType(OrtTable t, void *info, int *out);
void *ort_GetDimensionsCount(OrtTable t, void *info, size_t *out);
void *ort_GetDimensions(OrtTable t, void *info, int64_t *dims, size_t rank);
void *ort_GetTensorTypeAndShape(OrtTable t, void *value, void **out);
void *ort_CreateMemoryInfo(OrtTable t, const char *name, int allocator, int id, int mem_type, void **out);
void *ort_CreateCpuMemoryInfo(OrtTable t, int allocator, int mem_type, void **out);
void *ort_AllocatorFree(OrtTable t, void *allocator, void *memory);
void *ort_GetAllocatorWithDefaultOptions(OrtTable t, void **out);
void *ort_GetAvailableProviders(OrtTable t, char ***out, int *length);
void *ort_ReleaseAvailableProviders(OrtTable t, char **list, int length);
void *ort_AddSessionConfigEntry(OrtTable t, void *options, const char *key, const char *value);
void *ort_CreateAllocator(OrtTable t, void *session, void *info, void **out);
void *ort_RunWithBinding(OrtTable t, void *session, void *options, void *binding);
void *ort_CreateIoBinding(OrtTable t, void *session, void **out);
void *ort_BindInput(OrtTable t, void *binding, const char *name, void *value);
void *ort_BindOutput(OrtTable t, void *binding, const char *name, void *value);
void *ort_BindOutputToDevice(OrtTable t, void *binding, const char *name, void *info);
void *ort_GetBoundOutputValues(OrtTable t, void *binding, void *allocator, void ***out, size_t *count);
void *ort_SynchronizeBoundInputs(OrtTable t, void *binding);
void *ort_SynchronizeBoundOutputs(OrtTable t, void *binding);
void *ort_SessionOptionsAppendExecutionProvider_CUDA_V2(OrtTable t, void *options, void *cuda);
void *ort_CreateCUDAProviderOptions(OrtTable t, void **out);
void *ort_UpdateCUDAProviderOptions(OrtTable t, void *cuda, const char *const *keys, const char *const *values, size_t count);
void *ort_RegisterCustomOpsLibrary_V2(OrtTable t, void *options, const char *path);
void *ort_SetDeterministicCompute(OrtTable t, void *options, _Bool on);
void *ort_CreateAndRegisterAllocator(OrtTable t, void *env, void *info, void *config);
void *ort_CreateArenaCfg(OrtTable t, size_t max_mem, int extend, int first_chunk, int max_dead, void **out);
void ort_ReleaseArenaCfg(OrtTable t, void *object);
void ort_ReleaseStatus(OrtTable t, void *object);
void ort_ReleaseMemoryInfo(OrtTable t, void *object);
void ort_ReleaseSession(OrtTable t, void *object);
void ort_ReleaseValue(OrtTable t, void *object);
void ort_ReleaseRunOptions(OrtTable t, void *object);
void ort_ReleaseTypeInfo(OrtTable t, void *object);
void ort_ReleaseTensorTypeAndShapeInfo(OrtTable t, void *object);
void ort_ReleaseSessionOptions(OrtTable t, void *object);
void ort_ReleaseAllocator(OrtTable t, void *object);
void ort_ReleaseIoBinding(OrtTable t, void *object);
void ort_ReleaseCUDAProviderOptions(OrtTable t, void *object);

void ort_status(OrtTable t, void *status, int *code, const char **message);

#endif
