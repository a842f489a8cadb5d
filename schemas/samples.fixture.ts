import { readdirSync, readFileSync } from 'node:fs';
import type { FactType } from './events/facts.ts';

export interface Sample {
  readonly file: string;
  readonly type: FactType;
  readonly version: number;
  readonly fact: Record<string, unknown> & { readonly id: string; readonly type: string; readonly stream: string; readonly data: Record<string, unknown> };
}

export const samplesFolder = new URL('samples/', import.meta.url);

/** Facts as they stand in logs, one a file: `<type>.v<version>[.<what is special>].json`. Added to, never changed. */
export function samples(): Sample[] {
  return readdirSync(samplesFolder).filter((file) => file.endsWith('.json')).sort().map((file) => {
    const [, type, version] = /^([a-z-]+\.[a-z-]+)\.v(\d+)(?:\.[a-z0-9-]+)?\.json$/.exec(file) ?? [];
    if (type === undefined) throw new Error(`schemas/samples/${file} is not named <type>.v<version>[.<what is special>].json`);
    const fact = JSON.parse(readFileSync(new URL(file, samplesFolder), 'utf8')) as Sample['fact'];
    return { file, type: type as FactType, version: Number(version), fact };
  });
}
