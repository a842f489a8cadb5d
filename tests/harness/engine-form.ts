import type { ChildProcess } from 'node:child_process';

/** How an engine is run: as `tekai up` alone, or as many processes on engines of others. */
export interface EngineForm {
  /** Where everything is asked. */
  readonly url: string;
  /** Where health is told with reasons. */
  readonly internalUrl: string;
  /** The settings by which a program beside the engine finds what it stands on. */
  readonly stores: Readonly<Record<string, string>>;
  /** Resolves once it is ready. Without names: all services. */
  start(names: readonly string[]): Promise<ChildProcess>;
  /** Every process of it. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** As the operator would; and what was started for it alone. */
  stop(): Promise<void>;
}

export interface FormOptions {
  /** Of the system. */
  readonly folder: string;
  readonly stateDir: string;
  /** Empty: the engine runs one of its own. */
  readonly databaseUrl: string;
  readonly settings?: Readonly<Record<string, string>>;
  readonly port?: number;
  readonly preload?: string;
  /** What it prints. */
  take(text: string): void;
  onLine?(line: string): void;
}
