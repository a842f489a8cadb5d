import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';

/** What the engine counts, of this process alone. Served on the internal port, in Prometheus's form. */
export interface Metrics {
  readonly deliveries: Counter<'outcome'>;
  readonly spoolBytes: Gauge;
  /** The text that a scraper reads. */
  render(): Promise<{ readonly type: string; readonly text: string }>;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: 'tekai_' });
  return {
    deliveries: new Counter({ name: 'tekai_deliveries_total', help: 'Webhook deliveries by what became of them: recorded, duplicate, spooled, full, refused (not authentic)', labelNames: ['outcome'], registers: [registry] }),
    spoolBytes: new Gauge({ name: 'tekai_spool_bytes', help: 'Bytes that wait in the spool for the log', registers: [registry] }),
    render: async () => ({ type: registry.contentType, text: await registry.metrics() }),
  };
}
