/** How often somebody asked within a window that begins with the first of their requests. Never throws, and never waits for long: a count is a courtesy to the others, no lock. */
export interface RequestCounts {
  count(key: string, windowMs: number): Promise<{ readonly count: number; readonly endsAt: Date }>;
}
