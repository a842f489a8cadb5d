import type { KeyRecord } from './secret-keys.ts';

/** How far a change of keys is. Each phase can be come back to at any time, by whoever looks next. */
export type RotationPhase =
  | { readonly kind: 'none'; readonly current: string }
  /** The next key is told to every process; it enciphers nothing. */
  | { readonly kind: 'telling'; readonly current: string; readonly next: string; readonly lacking: readonly string[] }
  /** The new key enciphers what is put; so many secrets are still enciphered with another. */
  | { readonly kind: 'enciphering'; readonly current: string; readonly old: string | undefined; readonly left: number }
  /** The old key is needed by nothing here. */
  | { readonly kind: 'done'; readonly current: string; readonly old: string };

/** Undefined before the first start of an engine. */
export function phaseOf({ keys, secrets, holders }: KeyRecord): RotationPhase | undefined {
  const idOf = (state: string) => keys.find((key) => key.state === state)?.id;
  const [current, next, old] = [idOf('current'), idOf('next'), idOf('old')];
  if (current === undefined) return undefined;
  const left = [...secrets].filter(([id]) => id !== current).reduce((sum, [, count]) => sum + count, 0);
  if (next !== undefined) return { kind: 'telling', current, next, lacking: holders.filter(({ keyIds }) => !keyIds.includes(next)).map(({ process }) => process) };
  if (left > 0) return { kind: 'enciphering', current, old, left };
  return old === undefined ? { kind: 'none', current } : { kind: 'done', current, old };
}
