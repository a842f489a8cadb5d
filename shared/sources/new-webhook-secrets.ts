import { randomBytes } from 'node:crypto';

/** What a webhook of GitLab's takes. */
export const newWebhookToken = () => randomBytes(32).toString('base64url');
export const newSigningToken = () => `whsec_${randomBytes(32).toString('base64')}`;
