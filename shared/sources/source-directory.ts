import type { SourceId } from '#schemas/brand.ts';
import type { ClientCertificate, GitLabAccess } from '#shared/gitlab/gitlab.ts';

export interface SourceSettings {
  readonly sourceId: SourceId;
  readonly name: string;
  readonly baseUrl: string;
  readonly caPem: string | null;
}

/** Up to two of a kind are good at once, so that they can be changed without losing a delivery. */
export interface WebhookSecrets {
  readonly tokens: readonly string[];
  /** Standard Webhooks secrets, `whsec_…`. */
  readonly signingTokens: readonly string[];
}

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
  readonly webhookToken: string;
  readonly signingToken: string;
  /** Of the command that made it: the same source is saved again only by the same command. */
  readonly digest: string;
}

export interface SourceRegistry extends SourceDirectory {
  /** False, with nothing changed, when the source was saved by a command with another digest. */
  save(source: NewSource): Promise<boolean>;
}
