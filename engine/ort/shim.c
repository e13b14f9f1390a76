// Calls through ONNX Runtime's function table, one per slot that package ort uses.
#include "api.h"

#include <dlfcn.h>
#include <string.h>

typedef struct {
  const void *(*GetApi)(uint32_t version);
  const char *(*GetVersionString)(void);
} OrtApiBase;

OrtTable ort_load(const char *path, const char **version, char **err) {
  void *lib = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
  if (!lib) {
    *err = strdup(dlerror());
    return NULL;
  }
  const OrtApiBase *(*base)(void) = (const OrtApiBase *(*)(void))dlsym(lib, "OrtGetApiBase");
  if (!base) {
    *err = strdup("it is not ONNX Runtime: it has no symbol OrtGetApiBase");
    dlclose(lib);
    return NULL;
  }
  *version = base()->GetVersionString();
  OrtTable t = (OrtTable)base()->GetApi(ORT_API_NEEDED);
  if (!t) *err = strdup("it is older than ONNX Runtime 1.18");
  return t;
}

void *ort_alloc(size_t bytes) {
  void *p = NULL;
  if (bytes == 0) bytes = 1;
  if (posix_memalign(&p, 64, bytes) != 0) return NULL;
  return memset(p, 0, bytes);
}

void ort_status(OrtTable t, void *status, int *code, const char **message) {
  *code = ((int (*)(void *))t[Slot_GetErrorCode])(status);
  *message = ((const char *(*)(void *))t[Slot_GetErrorMessage])(status);
}

void *ort_CreateEnv(OrtTable t, int level, const char *logid, void **out) {
  return ((void *(*)(int, const char *, void **))t[Slot_CreateEnv])(level, logid, out);
}

void *ort_CreateSessionFromArray(OrtTable t, void *env, void *data, size_t length, void *options, void **out) {
  return ((void *(*)(void *, void *, size_t, void *, void **))t[Slot_CreateSessionFromArray])(env, data, length, options, out);
}

void *ort_CreateSessionOptions(OrtTable t, void **out) {
  return ((void *(*)(void **))t[Slot_CreateSessionOptions])(out);
}

void *ort_SetOptimizedModelFilePath(OrtTable t, void *options, const char *path) {
  return ((void *(*)(void *, const char *))t[Slot_SetOptimizedModelFilePath])(options, path);
}

void *ort_EnableMemPattern(OrtTable t, void *options) {
  return ((void *(*)(void *))t[Slot_EnableMemPattern])(options);
}

void *ort_DisableMemPattern(OrtTable t, void *options) {
  return ((void *(*)(void *))t[Slot_DisableMemPattern])(options);
}

void *ort_DisableCpuMemArena(OrtTable t, void *options) {
  return ((void *(*)(void *))t[Slot_DisableCpuMemArena])(options);
}

void *ort_SetSessionLogSeverityLevel(OrtTable t, void *options, int level) {
  return ((void *(*)(void *, int))t[Slot_SetSessionLogSeverityLevel])(options, level);
}

void *ort_SetSessionGraphOptimizationLevel(OrtTable t, void *options, int level) {
  return ((void *(*)(void *, int))t[Slot_SetSessionGraphOptimizationLevel])(options, level);
}

void *ort_SetIntraOpNumThreads(OrtTable t, void *options, int threads) {
  return ((void *(*)(void *, int))t[Slot_SetIntraOpNumThreads])(options, threads);
}

void *ort_SetInterOpNumThreads(OrtTable t, void *options, int threads) {
  return ((void *(*)(void *, int))t[Slot_SetInterOpNumThreads])(options, threads);
}

void *ort_SessionGetInputCount(OrtTable t, void *session, size_t *out) {
  return ((void *(*)(void *, size_t *))t[Slot_SessionGetInputCount])(session, out);
}

void *ort_SessionGetOutputCount(OrtTable t, void *session, size_t *out) {
  return ((void *(*)(void *, size_t *))t[Slot_SessionGetOutputCount])(session, out);
}

void *ort_SessionGetInputTypeInfo(OrtTable t, void *session, size_t index, void **out) {
  return ((void *(*)(void *, size_t, void **))t[Slot_SessionGetInputTypeInfo])(session, index, out);
}

void *ort_SessionGetOutputTypeInfo(OrtTable t, void *session, size_t index, void **out) {
  return ((void *(*)(void *, size_t, void **))t[Slot_SessionGetOutputTypeInfo])(session, index, out);
}

void *ort_SessionGetInputName(OrtTable t, void *session, size_t index, void *allocator, char **out) {
  return ((void *(*)(void *, size_t, void *, char **))t[Slot_SessionGetInputName])(session, index, allocator, out);
}

void *ort_SessionGetOutputName(OrtTable t, void *session, size_t index, void *allocator, char **out) {
  return ((void *(*)(void *, size_t, void *, char **))t[Slot_SessionGetOutputName])(session, index, allocator, out);
}

void *ort_CreateRunOptions(OrtTable t, void **out) {
  return ((void *(*)(void **))t[Slot_CreateRunOptions])(out);
}

void *ort_RunOptionsSetTerminate(OrtTable t, void *options) {
  return ((void *(*)(void *))t[Slot_RunOptionsSetTerminate])(options);
}

void *ort_RunOptionsUnsetTerminate(OrtTable t, void *options) {
  return ((void *(*)(void *))t[Slot_RunOptionsUnsetTerminate])(options);
}

void *ort_CreateTensorAsOrtValue(OrtTable t, void *allocator, const int64_t *shape, size_t rank, int type, void **out) {
  return ((void *(*)(void *, const int64_t *, size_t, int, void **))t[Slot_CreateTensorAsOrtValue])(allocator, shape, rank, type, out);
}

void *ort_CreateTensorWithDataAsOrtValue(OrtTable t, void *info, void *data, size_t bytes, const int64_t *shape, size_t rank, int type, void **out) {
  return ((void *(*)(void *, void *, size_t, const int64_t *, size_t, int, void **))t[Slot_CreateTensorWithDataAsOrtValue])(info, data, bytes, shape, rank, type, out);
}

void *ort_GetTensorMutableData(OrtTable t, void *value, void **out) {
  return ((void *(*)(void *, void **))t[Slot_GetTensorMutableData])(value, out);
}

void *ort_CastTypeInfoToTensorInfo(OrtTable t, void *info, void **out) {
  return ((void *(*)(void *, void **))t[Slot_CastTypeInfoToTensorInfo])(info, out);
}

void *ort_GetTensorElementType(OrtTable t, void *info, int *out) {
  return ((void *(*)(void *, int *))t[Slot_GetTensorElementType])(info, out);
}

void *ort_GetDimensionsCount(OrtTable t, void *info, size_t *out) {
  return ((void *(*)(void *, size_t *))t[Slot_GetDimensionsCount])(info, out);
}

void *ort_GetDimensions(OrtTable t, void *info, int64_t *dims, size_t rank) {
  return ((void *(*)(void *, int64_t *, size_t))t[Slot_GetDimensions])(info, dims, rank);
}

void *ort_GetTensorTypeAndShape(OrtTable t, void *value, void **out) {
  return ((void *(*)(void *, void **))t[Slot_GetTensorTypeAndShape])(value, out);
}

void *ort_CreateMemoryInfo(OrtTable t, const char *name, int allocator, int id, int mem_type, void **out) {
  return ((void *(*)(const char *, int, int, int, void **))t[Slot_CreateMemoryInfo])(name, allocator, id, mem_type, out);
}

void *ort_CreateCpuMemoryInfo(OrtTable t, int allocator, int mem_type, void **out) {
  return ((void *(*)(int, int, void **))t[Slot_CreateCpuMemoryInfo])(allocator, mem_type, out);
}

void *ort_AllocatorFree(OrtTable t, void *allocator, void *memory) {
  return ((void *(*)(void *, void *))t[Slot_AllocatorFree])(allocator, memory);
}

void *ort_GetAllocatorWithDefaultOptions(OrtTable t, void **out) {
  return ((void *(*)(void **))t[Slot_GetAllocatorWithDefaultOptions])(out);
}

void *ort_GetAvailableProviders(OrtTable t, char ***out, int *length) {
  return ((void *(*)(char ***, int *))t[Slot_GetAvailableProviders])(out, length);
}

void *ort_ReleaseAvailableProviders(OrtTable t, char **list, int length) {
  return ((void *(*)(char **, int))t[Slot_ReleaseAvailableProviders])(list, length);
}

void *ort_AddSessionConfigEntry(OrtTable t, void *options, const char *key, const char *value) {
  return ((void *(*)(void *, const char *, const char *))t[Slot_AddSessionConfigEntry])(options, key, value);
}

void *ort_CreateAllocator(OrtTable t, void *session, void *info, void **out) {
  return ((void *(*)(void *, void *, void **))t[Slot_CreateAllocator])(session, info, out);
}

void *ort_RunWithBinding(OrtTable t, void *session, void *options, void *binding) {
  return ((void *(*)(void *, void *, void *))t[Slot_RunWithBinding])(session, options, binding);
}

void *ort_CreateIoBinding(OrtTable t, void *session, void **out) {
  return ((void *(*)(void *, void **))t[Slot_CreateIoBinding])(session, out);
}

void *ort_BindInput(OrtTable t, void *binding, const char *name, void *value) {
  return ((void *(*)(void *, const char *, void *))t[Slot_BindInput])(binding, name, value);
}

void *ort_BindOutput(OrtTable t, void *binding, const char *name, void *value) {
  return ((void *(*)(void *, const char *, void *))t[Slot_BindOutput])(binding, name, value);
}

void *ort_BindOutputToDevice(OrtTable t, void *binding, const char *name, void *info) {
  return ((void *(*)(void *, const char *, void *))t[Slot_BindOutputToDevice])(binding, name, info);
}

void *ort_GetBoundOutputValues(OrtTable t, void *binding, void *allocator, void ***out, size_t *count) {
  return ((void *(*)(void *, void *, void ***, size_t *))t[Slot_GetBoundOutputValues])(binding, allocator, out, count);
}

void *ort_SynchronizeBoundInputs(OrtTable t, void *binding) {
  return ((void *(*)(void *))t[Slot_SynchronizeBoundInputs])(binding);
}

void *ort_SynchronizeBoundOutputs(OrtTable t, void *binding) {
  return ((void *(*)(void *))t[Slot_SynchronizeBoundOutputs])(binding);
}

void *ort_SessionOptionsAppendExecutionProvider_CUDA_V2(OrtTable t, void *options, void *cuda) {
  return ((void *(*)(void *, void *))t[Slot_SessionOptionsAppendExecutionProvider_CUDA_V2])(options, cuda);
}

void *ort_CreateCUDAProviderOptions(OrtTable t, void **out) {
  return ((void *(*)(void **))t[Slot_CreateCUDAProviderOptions])(out);
}

void *ort_UpdateCUDAProviderOptions(OrtTable t, void *cuda, const char *const *keys, const char *const *values, size_t count) {
  return ((void *(*)(void *, const char *const *, const char *const *, size_t))t[Slot_UpdateCUDAProviderOptions])(cuda, keys, values, count);
}

void *ort_RegisterCustomOpsLibrary_V2(OrtTable t, void *options, const char *path) {
  return ((void *(*)(void *, const char *))t[Slot_RegisterCustomOpsLibrary_V2])(options, path);
}

void *ort_SetDeterministicCompute(OrtTable t, void *options, _Bool on) {
  return ((void *(*)(void *, _Bool))t[Slot_SetDeterministicCompute])(options, on);
}

void *ort_CreateAndRegisterAllocator(OrtTable t, void *env, void *info, void *config) {
  return ((void *(*)(void *, void *, void *))t[Slot_CreateAndRegisterAllocator])(env, info, config);
}

void *ort_CreateArenaCfg(OrtTable t, size_t max_mem, int extend, int first_chunk, int max_dead, void **out) {
  return ((void *(*)(size_t, int, int, int, void **))t[Slot_CreateArenaCfg])(max_mem, extend, first_chunk, max_dead, out);
}

void ort_ReleaseArenaCfg(OrtTable t, void *object) {
  if (object) ((void (*)(void *))t[Slot_ReleaseArenaCfg])(object);
}

void ort_ReleaseStatus(OrtTable t, void *object) {
  if (object) ((void (*)(void *))t[Slot_ReleaseStatus])(object);
}

void ort_ReleaseMemoryInfo(OrtTable t, void *object) {
  if (object) ((void (*)(void *))t[Slot_ReleaseMemoryInfo])(object);
}

void ort_ReleaseSession(OrtTable t, void *object) {
  if (object) ((void (*)(void *))t[Slot_ReleaseSession])(object);
}

void ort_ReleaseValue(OrtTable t, void *object) {
  if (object) ((void (*)(void *))t[Slot_ReleaseValue])(object);
}

void ort_ReleaseRunOptions(OrtTable t, void *object) {
  if (object) ((void (*)(void *))t[Slot_ReleaseRunOptions])(object);
}

void ort_ReleaseTypeInfo(OrtTable t, void *object) {
  if (object) ((void (*)(void *))t[Slot_ReleaseTypeInfo])(object);
}

void ort_ReleaseTensorTypeAndShapeInfo(OrtTable t, void *object) {
  if (object) ((void (*)(void *))t[Slot_ReleaseTensorTypeAndShapeInfo])(object);
}

void ort_ReleaseSessionOptions(OrtTable t, void *object) {
  if (object) ((void (*)(void *))t[Slot_ReleaseSessionOptions])(object);
}

void ort_ReleaseAllocator(OrtTable t, void *object) {
  if (object) ((void (*)(void *))t[Slot_ReleaseAllocator])(object);
}

void ort_ReleaseIoBinding(OrtTable t, void *object) {
  if (object) ((void (*)(void *))t[Slot_ReleaseIoBinding])(object);
}

void ort_ReleaseCUDAProviderOptions(OrtTable t, void *object) {
  if (object) ((void (*)(void *))t[Slot_ReleaseCUDAProviderOptions])(object);
}
