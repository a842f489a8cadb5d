import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';

/** What the engine counts, of this process alone. Served on the internal port, in Prometheus's form. */
export interface Metrics {
  readonly deliveries: Counter<'outcome'>;
  readonly spoolBytes: Gauge;
  readonly looks: Counter<'outcome'>;
  readonly gaps: Counter;
  readonly gitlabBudgetLeft: Gauge<'source'>;
  readonly oldestLookSeconds: Gauge<'source'>;
  readonly pollBoundSeconds: Gauge<'source' | 'pace'>;
  /** The text that a scraper reads. */
  render(): Promise<{ readonly type: string; readonly text: string }>;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: 'tekai_' });
  return {
    deliveries: new Counter({ name: 'tekai_deliveries_total', help: 'Webhook deliveries by what became of them: recorded, duplicate, spooled, full, refused (not authentic)', labelNames: ['outcome'], registers: [registry] }),
    spoolBytes: new Gauge({ name: 'tekai_spool_bytes', help: 'Bytes that wait in the spool for the log', registers: [registry] }),
    looks: new Counter({ name: 'tekai_looks_total', help: 'Looks at the refs of a codebase in GitLab by outcome: equal, different, unanswered, away', labelNames: ['outcome'], registers: [registry] }),
    gaps: new Counter({ name: 'tekai_gaps_total', help: 'Refs that polling found elsewhere than any webhook told', registers: [registry] }),
    gitlabBudgetLeft: new Gauge({ name: 'tekai_gitlab_budget_left', help: 'Requests that the scheduler may send now, by source', labelNames: ['source'], registers: [registry] }),
    oldestLookSeconds: new Gauge({ name: 'tekai_oldest_look_seconds', help: 'Age of the oldest last look among the active codebases of a source', labelNames: ['source'], registers: [registry] }),
    pollBoundSeconds: new Gauge({ name: 'tekai_poll_bound_seconds', help: 'A lost webhook is found within this, as the budget allows: pace active or idle', labelNames: ['source', 'pace'], registers: [registry] }),
    render: async () => ({ type: registry.contentType, text: await registry.metrics() }),
  };
}
