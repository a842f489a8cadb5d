/** Pauses that a GitLab has asked for: whoever asks it next with the same token keeps them too. */
export interface RequestHolds {
  /** How long nothing may be asked yet; 0 when it may. Never rejects because what they share is away. */
  leftMs(whom: string): Promise<number>;
  /** It asked for so long, from now on. A longer pause stays. */
  hold(whom: string, ms: number): void;
}
