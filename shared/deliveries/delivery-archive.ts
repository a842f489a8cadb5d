import type { SourceId } from '#schemas/brand.ts';

export interface KeptDelivery {
  readonly receivedAt: string;
  /** As ingress kept them: names in small letters; neither token nor signature is among them. */
  readonly headers: Readonly<Record<string, string>>;
  readonly bodyBytes: number;
}

/** Raw webhook requests while they are kept, for looking only: ingress writes, and drops the old ones by the month. @throws Unavailable */
export interface DeliveryArchive {
  /** Without its body. Undefined when it is not kept, or no longer. */
  find(source: SourceId, deliveryId: string): Promise<KeptDelivery | undefined>;
  /** The very bytes that came, 25 MiB at most. */
  body(source: SourceId, deliveryId: string): Promise<Buffer | undefined>;
}
