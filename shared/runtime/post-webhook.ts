/** Who takes longer has taken it or not: it is sent again, with the same id. */
const ANSWER_MS_MAX = 20_000;

/** Sends a body to a URL of somebody's own. Follows no redirect, reads no answer. Rejects when nobody answers. */
export type PostWebhook = (url: string, options: { readonly headers: Readonly<Record<string, string>>; readonly body: string; readonly signal: AbortSignal }) => Promise<{ readonly status: number }>;

export const postWebhook: PostWebhook = async (url, { headers, body, signal }) => {
  const response = await fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS_MAX)]) });
  await response.body?.cancel();
  return { status: response.status };
};
