import type { SourceId } from '#schemas/brand.ts';
import type { ClientCertificate, GitLabAccess } from '#shared/gitlab/gitlab.ts';

export interface SourceSettings {
  readonly sourceId: SourceId;
  readonly name: string;
  readonly baseUrl: string;
  readonly caPem: string | null;
}

/** What deliveries of a source are known by. The first of a kind is what its webhooks should have. */
export interface WebhookSecrets {
  readonly tokens: readonly string[];
  /** Standard Webhooks secrets, `whsec_…`. */
  readonly signingTokens: readonly string[];
  /** Of the fact that told of the last change; undefined: as they were registered. */
  readonly revision?: number | undefined;
  /** The last of each kind are those from before the change at `revision`, good until then at the latest. */
  readonly formerUntil?: Date | undefined;
}

/** Those from before the change are good for so long, unless every webhook is known sooner to have the new ones. One made by hand must be changed by hand in this time. */
export const FORMER_SECRETS_HOURS = 24;

/** How to reach the sources. Ingress writes; fetcher and scheduler read. @throws Unavailable */
export interface SourceDirectory {
  settings(source: SourceId): Promise<SourceSettings | undefined>;
  access(source: SourceId): Promise<GitLabAccess | undefined>;
  webhookSecrets(source: SourceId): Promise<WebhookSecrets | undefined>;
}

export interface NewSource extends SourceSettings {
  readonly token: string;
  readonly proxyUrl: string | null;
  readonly client: ClientCertificate | null;
  readonly allowAddresses: readonly string[];
  readonly webhookToken: string;
  readonly signingToken: string;
  /** Of the command that made it: the same source is saved again only by the same command. */
  readonly digest: string;
}

export interface SourceChange {
  /** Of the fact that tells of it. */
  readonly revision: number;
  readonly name?: string | undefined;
  readonly token?: string | undefined;
  readonly caPem?: string | null | undefined;
  /** Null takes the key away too. */
  readonly clientCertPem?: string | null | undefined;
  readonly clientKeyPem?: string | undefined;
  readonly proxyUrl?: string | null | undefined;
  readonly allowAddresses?: readonly string[] | undefined;
}

export interface SourceRegistry extends SourceDirectory {
  /** False, with nothing changed, when the source was saved by a command with another digest. */
  save(source: NewSource): Promise<boolean>;
  /** What is not named stays; null takes it away. Doing it again changes nothing; of what a newer revision has changed, an older one changes nothing. */
  change(source: SourceId, change: SourceChange): Promise<void>;
  /** New webhook secrets, made once for a revision however often it is told: the ones before them stay good beside them. */
  renewWebhookSecrets(source: SourceId, change: { readonly revision: number; readonly at: Date }): Promise<void>;
  /** The ones from before the change at this revision are good no longer. */
  dropFormerSecrets(source: SourceId, revision: number): Promise<void>;
  /** Settings and secrets are gone after this. */
  forget(source: SourceId): Promise<void>;
}
