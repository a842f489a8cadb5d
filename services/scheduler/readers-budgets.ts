import type { SourceId } from '#schemas/brand.ts';
import { createBudget, type Budget } from './budget.ts';

/** Of what is set aside of a source's budget for who reads what, people's own looks take no more: the rest learns it by the sweep. */
export const PEOPLE_SHARE = 0.5;

/** What is set aside of each source's budget for who reads what: the sweep has all of it that people's own looks leave. */
export interface ReadersBudgets {
  readonly requestsPerMinute: number;
  of(source: SourceId, now: number): Budget;
  /** False when nothing may be asked for a person now. */
  takeForPerson(source: SourceId, requests: number, now: number): boolean;
  owedForPerson(source: SourceId, requests: number, now: number): void;
  /** What people's looks take of a minute, as it was reckoned last. */
  readonly people: Map<SourceId, number>;
}

export function createReadersBudgets(requestsPerMinute: number): ReadersBudgets {
  const [whole, ofPeople] = [new Map<SourceId, Budget>(), new Map<SourceId, Budget>()];
  const budgetIn = (budgets: Map<SourceId, Budget>, perMinute: number) => (source: SourceId, now: number) => {
    const budget = budgets.get(source) ?? createBudget(perMinute, now);
    budgets.set(source, budget);
    return budget;
  };
  const [of, peopleOf] = [budgetIn(whole, requestsPerMinute), budgetIn(ofPeople, requestsPerMinute * PEOPLE_SHARE)];
  return {
    requestsPerMinute, of,
    takeForPerson: (source, requests, now) => peopleOf(source, now).left(now) >= 1 && of(source, now).take(requests, now) && (peopleOf(source, now).owe(requests), true),
    owedForPerson(source, requests, now) {
      for (const budget of [of(source, now), peopleOf(source, now)]) budget.owe(requests);
    },
    people: new Map(),
  };
}

/** What is left of it for the sweep, beside people's looks. */
export const leftForSweep = ({ requestsPerMinute, people }: ReadersBudgets, source: SourceId): number => requestsPerMinute - Math.min(people.get(source) ?? 0, requestsPerMinute * PEOPLE_SHARE);
