// The image's health check: ends with 0 when this process is ready, else with 1 and why. Docker keeps what it says (`docker inspect`).
const port = process.env.TEKAI_INTERNAL_PORT || '8081';
try {
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`);
  if (!answer.ok) throw new Error(await answer.text());
} catch (error) {
  console.error(error.cause?.message ?? error.message);
  process.exitCode = 1;
}
