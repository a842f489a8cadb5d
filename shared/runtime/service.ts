/** A service that is up. Stopping it ends or hands back what was begun, and resolves. */
export interface RunningService {
  readonly name: string;
  stop(): Promise<void>;
}
