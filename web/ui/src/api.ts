// The server's answers, as docs/api.md and /openapi.json describe them.

/** JSON has no NaN and no infinities: they come as strings. */
export type Num = number | "NaN" | "Infinity" | "-Infinity";

export type Status = "pending" | "running" | "completed" | "failed" | "cancelled" | "skipped";
export type State = "live" | "interrupted" | "unknown" | "ended";

export interface Progress {
  epoch: number;
  epochs: number;
  step: number;
  steps: number;
  global_step: number;
  loss: Num;
  images_per_second: Num;
  eta_seconds: Num;
}

export interface Run {
  run_id: string;
  job_id: number;
  pipeline: string;
  address: string;
  apply_id: string;
  content_key: string;
  status: Status;
  kind: string;
  adapter?: string;
  model?: string;
  task?: string;
  parent?: string;
  executor?: string;
  attempts: number;
  error?: string;
  cause?: string;
  metrics?: Record<string, Num>;
  progress?: Progress;
  created: string;
  started?: string;
  ended?: string;
}

export interface Applied {
  values: Record<string, unknown>;
  attributes?: Record<string, unknown>;
  unsupported?: Record<string, string>;
  proof: string;
  environment?: Record<string, string>;
}

export interface Attempt {
  number: number;
  status: Status;
  cause?: string;
  error?: string;
  exit_code: number;
  executor: string;
  started?: string;
  ended?: string;
  applied?: Applied;
}

export interface RunDetail extends Run {
  state: State;
  last_metrics?: Record<string, Num>;
  per_class?: Record<string, Record<string, Num>>;
  requested?: Record<string, unknown>;
  attempt_list: Attempt[];
}

export interface RunList {
  runs: Run[];
  next_offset?: number;
}

export interface StatusRun {
  run_id: string;
  job_id: number;
  pipeline: string;
  address: string;
  kind: string;
  status: Status;
  state: State;
  best?: Record<string, Num>;
}

export interface StatusList {
  state: string;
  total: number;
  count: Record<string, number>;
  runs: StatusRun[];
}

export interface Point {
  epoch: number;
  global_step: number;
  value: Num;
  attempt: number;
  superseded?: boolean;
  time: string;
}

export interface Series {
  name: string;
  split: string;
  class?: string;
  points: Point[];
}

export interface Sample {
  path: string;
  label: number;
  prediction: number;
  confidence: Num;
  loss: Num;
}

/** PRCurve is precision over recall at falling thresholds, of one class. */
export interface PRCurve {
  ap: Num;
  thresholds: Num[];
  precision: Num[];
  recall: Num[];
}

export interface Validation {
  epoch: number;
  global_step: number;
  task_type: string;
  split: string;
  primary_metric_name: string;
  primary_metric_value: Num;
  overall_loss: Num;
  metrics: Record<string, Num>;
  per_class_metrics?: Record<string, Record<string, Num>>;
  classes?: string[];
  confusion_matrix?: number[][];
  pr_curves?: Record<string, PRCurve>; // in events, and where they are asked for
  samples?: Sample[];
  checkpoint_path?: string;
}

export interface Checkpoint {
  name: string;
  path: string;
  sha256: string;
  size?: number;
  epoch: number;
  global_step: number;
  metrics?: Record<string, Num>;
}

export interface Artifact {
  name: string;
  path: string;
  sha256: string;
  size: number;
  media_type?: string;
}

export interface Message {
  time: string;
  attempt: number;
  level: string;
  text: string;
}

export interface Logs {
  messages: Message[];
  output: { attempt: number; offset: number; next_offset: number; size: number; text: string };
}

export interface Model {
  model_name: string;
  framework: string;
  task_types: string[];
  default_image_size?: number;
  parameters?: string;
  pretrained?: boolean;
  description?: string;
  license?: string;
}

/** FoundDataset is a folder on the server that looks like a dataset. */
export interface FoundDataset {
  dataset_path: string;
  format: string;
  split?: Record<string, unknown>;
}

export interface Option {
  value: string;
  label?: string;
  description?: string;
}

export interface Field {
  name: string;
  type: "select" | "number" | "integer" | "boolean" | "string" | "list";
  label?: string;
  description?: string;
  default: unknown;
  min?: number;
  max?: number;
  step?: number;
  options?: Option[];
  condition?: { field: string; value: unknown };
  unit?: string;
  group?: string;
  resume?: string;
}

export interface ConfigSchema {
  schema: { fields: Field[] };
  presets: Record<string, Record<string, unknown>>;
}

/** Problem is an error that the server explained (RFC 9457). */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    readonly body: unknown = null,
  ) {
    super(detail);
  }
}

async function ask<T>(method: string, path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  const init: RequestInit = { method, credentials: "same-origin", headers: { Accept: "application/json" } };
  if (signal) init.signal = signal;
  if (body !== undefined) {
    init.headers = { ...init.headers, "Content-Type": "application/json" };
    init.body = JSON.stringify(body);
  }
  let res: Response;
  try {
    res = await fetch(path, init);
  } catch (e) {
    if (signal?.aborted) throw e;
    throw new Problem(0, "unreachable", "the server does not answer; trying again");
  }
  const text = await res.text();
  let parsed: unknown = null;
  try {
    parsed = text === "" ? null : JSON.parse(text);
  } catch {
    throw new Problem(res.status, "malformed", `the server's answer to ${method} ${path} is no JSON`);
  }
  if (!res.ok) {
    const p = (parsed ?? {}) as { code?: string; detail?: string; title?: string };
    throw new Problem(res.status, p.code ?? "internal", p.detail ?? p.title ?? `status ${res.status}`, parsed);
  }
  return parsed as T;
}

export const get = <T>(path: string, signal?: AbortSignal): Promise<T> => ask<T>("GET", path, undefined, signal);
export const post = <T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> => ask<T>("POST", path, body, signal);
export const del = <T>(path: string): Promise<T> => ask<T>("DELETE", path, undefined);

export const runPath = (id: string | number, part = ""): string => `/api/v1/runs/${encodeURIComponent(String(id))}${part}`;

/** StepEvent is a filed event of a step (docs/protocol.md). */
export interface StepEvent {
  attempt: number;
  seq: number;
  time: string;
  type: string;
  metrics?: MetricsEvent;
  validation?: Validation;
}

export interface MetricsEvent {
  epoch: number;
  global_step: number;
  split: string;
  values: Record<string, Num>;
}

/** Diagnostic is what is wrong with a pipeline and where. Lines and columns count from 1. */
export interface Diagnostic {
  severity: string;
  summary: string;
  detail: string;
  range?: { filename: string; start: Place; end: Place };
}

/** Suggestion is something that may be written at a place of a text. */
export interface Suggestion {
  label: string;
  kind: "block" | "argument" | "field" | "group" | "value" | "reference" | "function";
  detail?: string;
  doc?: string; // Markdown
  insert: string;
  snippet?: string; // in place of insert, with the placeholders of the Language Server Protocol
  rank: number; // what fits best has the lowest
  from: number; // bytes that it replaces
  to: number;
}

/** Assistance is what the server knows of a place of a text. */
export interface Assistance {
  completions: Suggestion[];
  hover?: { text: string; from: number; to: number };
}

export interface Place {
  line: number;
  column: number;
  byte: number;
}

/** Evaluation is what the server found about a submitted pipeline. */
export interface Evaluation {
  valid: boolean;
  diagnostics: Diagnostic[];
  pipeline?: string;
  steps?: string[];
  plan?: Plan;
}

export interface Plan {
  pipeline: string;
  changes: boolean;
  steps: PlannedStep[];
  datasets?: { name: string; report: Record<string, unknown> }[];
  checks?: { address: string; state: string; message?: string; known_after?: string[] }[];
  outputs?: { name: string; value?: unknown; known_after?: string[] }[];
}

export interface PlannedStep {
  address: string;
  kind: string;
  needs?: string[];
  action: string;
  reason: string;
  model?: string;
  dataset?: string;
  changes?: { field: string; old: unknown; new: unknown; resume: string; effect?: string }[];
  settings?: { field: string; value: unknown; origin: string; kind: string; note: string }[];
}

/** Apply is a pipeline that was handed to the server. */
export interface Apply {
  apply_id: string;
  pipeline: string;
  state: "created" | "queued" | "running" | "ended";
  status: Status;
  stopping?: boolean;
  takes: number;
  queued?: string;
  started?: string;
  ended?: string;
  error?: string;
  report?: unknown;
}

/** Form is one training as POST /api/v1/pipelines/render takes it. */
export interface Form {
  name: string;
  framework: string;
  task_type: string;
  model: Record<string, unknown>;
  dataset: Record<string, unknown>;
  training_config: Record<string, unknown>;
}

export interface FormDiagnostic extends Diagnostic {
  pointer: string;
}

export interface Rendering {
  hcl: string;
  valid: boolean;
  pipeline?: string;
  diagnostics: FormDiagnostic[];
}
