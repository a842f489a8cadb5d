/** A step of the demo that did not come about: what was tried, why it failed, what to do. */
export class DemoFailed extends Error {
  override readonly name = 'DemoFailed';
}
