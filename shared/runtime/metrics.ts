import { AggregatorRegistry, collectDefaultMetrics, Counter, Gauge, Registry, type MetricObjectWithValues, type MetricValue } from 'prom-client';

/** What a process counted, as it goes from one to another. */
export type MetricsSnapshot = readonly MetricObjectWithValues<MetricValue<string>>[];

/** What the engine counts, of this process alone. Served on the internal port, in Prometheus's form. */
export interface Metrics {
  readonly deliveries: Counter<'outcome'>;
  readonly auditNotes: Counter<'outcome'>;
  readonly spoolBytes: Gauge;
  readonly looks: Counter<'outcome'>;
  readonly gaps: Counter;
  readonly gitlabBudgetLeft: Gauge<'source'>;
  readonly oldestLookSeconds: Gauge<'source'>;
  readonly pollBoundSeconds: Gauge<'source' | 'pace'>;
  readonly relayLagSeconds: Gauge;
  readonly relayLeads: Gauge;
  readonly relayFacts: Counter<'outcome'>;
  /** Of this process, each value with the label `process`. */
  snapshot(process: string): Promise<MetricsSnapshot>;
  /** The text that a scraper reads, with what another process counted. */
  render(other?: MetricsSnapshot): Promise<{ readonly type: string; readonly text: string }>;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: 'tekai_' });
  return {
    deliveries: new Counter({ name: 'tekai_deliveries_total', help: 'Webhook deliveries by what became of them: recorded, duplicate, spooled, full, refused (not authentic)', labelNames: ['outcome'], registers: [registry] }),
    auditNotes: new Counter({ name: 'tekai_audit_notes_total', help: 'Refused requests and acts beside identity by what became of their audit entries: written, lost (the database was away too long)', labelNames: ['outcome'], registers: [registry] }),
    spoolBytes: new Gauge({ name: 'tekai_spool_bytes', help: 'Bytes that wait in the spool for the log', registers: [registry] }),
    looks: new Counter({ name: 'tekai_looks_total', help: 'Looks at the refs of a codebase in GitLab by outcome: equal, different, unanswered, away', labelNames: ['outcome'], registers: [registry] }),
    gaps: new Counter({ name: 'tekai_gaps_total', help: 'Refs that polling found elsewhere than any webhook told', registers: [registry] }),
    gitlabBudgetLeft: new Gauge({ name: 'tekai_gitlab_budget_left', help: 'Requests that the scheduler may send now, by source', labelNames: ['source'], registers: [registry] }),
    oldestLookSeconds: new Gauge({ name: 'tekai_oldest_look_seconds', help: 'Age of the oldest last look among the active codebases of a source', labelNames: ['source'], registers: [registry] }),
    pollBoundSeconds: new Gauge({ name: 'tekai_poll_bound_seconds', help: 'A lost webhook is found within this, as the budget allows: pace active or idle', labelNames: ['source', 'pace'], registers: [registry] }),
    relayLagSeconds: new Gauge({ name: 'tekai_relay_lag_seconds', help: 'Age of the oldest fact of the log that is not in Kafka yet; 0 when all are', registers: [registry] }),
    relayLeads: new Gauge({ name: 'tekai_relay_leads', help: '1 in the process that fills Kafka from the log, 0 in one that stands by', registers: [registry] }),
    relayFacts: new Counter({ name: 'tekai_relay_facts_total', help: 'Facts of the log by what became of them: written to Kafka, or there already', labelNames: ['outcome'], registers: [registry] }),
    async snapshot(process) {
      registry.setDefaultLabels({ process });
      return registry.getMetricsAsJSON();
    },
    async render(other) {
      const whole = other === undefined ? registry : AggregatorRegistry.aggregate([await registry.getMetricsAsJSON(), other]);
      return { type: registry.contentType, text: await whole.metrics() };
    },
  };
}
