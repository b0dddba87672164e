// Asks the app's own server, and turns every way in which that may fail into a Problem with a sentence for people.

export class Problem extends Error {
  constructor({ code, message, retryAfter = null }) {
    super(message);
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

const LOST = {
  code: "NoConnection",
  message: "There is no connection to this app. Look whether your network works, then try again; nothing you typed is lost.",
};
const TOO_LARGE = { code: "TooLarge", message: "That is too large to be sent. Take something smaller." };
const UNKNOWN = { code: "Failed", message: "Something between you and this app does not work. Try again in a minute." };
const WAIT_MILLISECONDS = 60000;

// Returns the answer, and how many milliseconds it took as seen from here.
export async function post(path, body, contentType) {
  const began = performance.now();
  const token = document.querySelector("meta[name=csrf-token]").content;
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      body,
      headers: { "Content-Type": contentType, "X-CSRFToken": token },
      signal: AbortSignal.timeout(WAIT_MILLISECONDS),
    });
  } catch {
    throw new Problem(LOST);
  }
  const answer = await response.json().catch(() => null);
  if (!response.ok || answer === null) throw explain(response, answer);
  return { answer, milliseconds: performance.now() - began };
}

function explain(response, answer) {
  if (answer?.error) return new Problem(answer.error);
  // Not from this app: a proxy on the way has answered.
  const retryAfter = Number(response.headers.get("Retry-After")) || null;
  return new Problem({ ...(response.status === 413 ? TOO_LARGE : UNKNOWN), retryAfter });
}
