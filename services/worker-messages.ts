import type { MetricsSnapshot } from '#shared/runtime/metrics.ts';

// Between the doors' process and the workers'. Never on the command line or in the environment, where others could read the URL.

export type ToWorkers =
  | { readonly kind: 'begin'; readonly databaseUrl: string }
  | { readonly kind: 'metrics' }
  | { readonly kind: 'stop' };

export type FromWorkers =
  | { readonly kind: 'waiting'; readonly reasons: readonly string[] }
  | { readonly kind: 'up' }
  | { readonly kind: 'metrics'; readonly snapshot: MetricsSnapshot };
