import type { Fact } from '#schemas/events/facts.ts';

/** A column's value as the table keeps it. Times are text: what the fact says, to the letter. */
export type Cell = string | number | boolean | null | object;
export type Row = Readonly<Record<string, Cell>>;
/** Values of a table's primary key, in its order. */
export type Key = readonly string[];

/** What a column takes. What an index holds is to be short. */
export type ColumnType = 'text' | 'indexed text' | 'integer' | 'bigint' | 'bigint[]' | 'boolean' | 'json';

/**
 * A read table as a fold: pure, from facts alone (no clock, no chance), so that folding the log again gives an equal table.
 * A fact touches the rows that `keysOf` names; `fold` gets each of them, or undefined, and gives back what it becomes.
 */
export interface View<R extends Row = Row> {
  readonly table: string;
  readonly key: readonly (keyof R & string)[];
  /** All of them, as the migrations made them. */
  readonly columns: Readonly<Record<keyof R & string, ColumnType>>;
  keysOf(fact: Fact): readonly Key[];
  fold(before: R | undefined, fact: Fact, key: Key): R | undefined;
}
