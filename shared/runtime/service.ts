/** A service that is up. Stopping it ends or hands back what was begun, and resolves. */
export interface RunningService {
  readonly name: string;
  stop(): Promise<void>;
  /** Where it may have to wait for what nobody else asks: what it is about; rejects with why it waits. */
  readonly check?: () => Promise<string | void>;
}
