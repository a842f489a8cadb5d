import type { Double } from '../double.ts';
import { caughtUpResponse, checkpointResponse } from './messages.ts';
import type { ResponseWriter } from './response-writer.ts';
import { isAfter, PAGE_EVENTS, placeOf, START, type Place, type Subscription } from './subscription-options.ts';

/** Live events that match which the server keeps for a subscriber; with more it silently falls behind and catches up again. */
const LIVE_EVENTS_MAX = 32;
/** What the server makes of (-1, -1), and sends as a checkpoint when it has caught up and given nothing yet. */
const END = String(2n ** 64n - 1n);

/**
 * Catches up page by page, goes live, and falls back when it cannot keep up: the loop of the real server's
 * Enumerator.AllSubscriptionFiltered (24.2.0), with its checkpoints, also the odd ones:
 * - of a page in which nothing matched: where that page began, which is behind a record and has `prepare` 0;
 * - when it has caught up from the start and given nothing: (2^64 - 1, 2^64 - 1), after which no other comes.
 */
export async function followLog({ store, faults }: Double, subscription: Subscription, writer: ResponseWriter): Promise<void> {
  const { matches, pages } = subscription;
  let { after: given, index } = subscription;
  let told: Place | undefined;
  /** Live events since the last checkpoint among them, whether they matched or not. */
  let lookedLive = 0;

  if (subscription.isLive) await goLive();
  while (!writer.signal.aborted) {
    await catchUp();
    await goLive();
  }

  async function catchUp(): Promise<void> {
    let counter = 0;
    let pageBegan: Place = given === START ? { commit: 0, prepare: 0 } : given;
    while (!writer.signal.aborted) {
      const { looked, isEnd } = await givePage(pages?.window ?? Infinity);
      counter += looked;
      if (isEnd) {
        if (faults.take('checkpoint-at-end', { on: 'subscribe' }) && isAfter(pageBegan, given)) given = pageBegan;
        return checkpoint(given);
      }
      if (pages && counter >= pages.interval) {
        counter %= pages.interval;
        if (isAfter(pageBegan, given)) given = pageBegan;
        await checkpoint(given);
      }
      pageBegan = { commit: store.all[index - 1]?.end ?? 0, prepare: 0 };
    }
  }

  async function givePage(window: number): Promise<{ looked: number; isEnd: boolean }> {
    let [looked, events] = [0, 0];
    for (; looked < window && events < PAGE_EVENTS; looked += 1) {
      if (index >= store.all.length || writer.signal.aborted) return { looked, isEnd: true };
      if (await giveNext()) events += 1;
    }
    return { looked, isEnd: false };
  }

  /** Whether the next event matched. */
  async function giveNext(): Promise<boolean> {
    const event = store.all[index];
    index += 1;
    if (event === undefined || !matches(event)) return false;
    if (!isAfter(placeOf(event), given)) return true;
    given = placeOf(event);
    await writer.event(event);
    return true;
  }

  async function goLive(): Promise<void> {
    await sayCaughtUp();
    while (!writer.signal.aborted) {
      await store.longerThan(index, writer.signal);
      if (store.all.length - index > LIVE_EVENTS_MAX && store.all.slice(index).filter(matches).length > LIVE_EVENTS_MAX) return checkpoint(given);
      const event = store.all[index];
      if (event === undefined || writer.signal.aborted) continue;
      await giveNext();
      lookedLive += 1;
      if (pages === undefined || lookedLive < pages.interval) continue;
      lookedLive = 0;
      if (isAfter(placeOf(event), given)) given = placeOf(event);
      await checkpoint(given);
    }
  }

  async function sayCaughtUp(): Promise<void> {
    const held = faults.take('hold-back-caught-up', { on: 'subscribe' });
    if (held === undefined) return writer.say(caughtUpResponse());
    if (held.delayMs !== undefined) setTimeout(() => void writer.say(caughtUpResponse()), held.delayMs);
  }

  async function checkpoint(place: Place): Promise<void> {
    const said = place === START ? { commit: Infinity, prepare: Infinity } : place;
    if (pages === undefined || (told && !isAfter(said, told))) return;
    told = said;
    await writer.say(place === START ? checkpointResponse({ commit: END, prepare: END }) : checkpointResponse({ commit: String(place.commit), prepare: String(place.prepare) }));
  }
}
