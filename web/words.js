/** Everything that the page says in its own words. Names of users are set apart from them. */

const names = new Intl.ListFormat("en");
const seconds = new Intl.NumberFormat("en", { style: "unit", unit: "second", unitDisplay: "long" });
const NAMED = 5;

// Isolates (Unicode, UAX #9): a name written from right to left leaves the sentence alone.
const apart = (name) => `\u2068${name}\u2069`;

function listed(users) {
  const shown = users.length > NAMED ? users.slice(0, NAMED - 1) : users;
  const rest = users.length - shown.length;
  const others = rest ? [`${rest} others`] : [];
  return names.format([...shown.map((user) => apart(user.name)), ...others]);
}

const duration = (wait) => seconds.format(Math.max(1, Math.ceil(wait)));

/** What a note tells: who came, went, was renamed. */
export function changes(list) {
  const of = (kind) => list.filter((change) => change.kind === kind);
  const sentences = of("rename").map(({ was, name }) => `${apart(was)} is now ${apart(name)}`);
  if (of("join").length) sentences.unshift(`${listed(of("join"))} joined`);
  if (of("exit").length) sentences.push(`${listed(of("exit"))} left`);
  return sentences.join(" · ");
}

/** Who is typing; empty when nobody is. */
export function typing(users) {
  if (users.length === 0) return "";
  if (users.length > 3) return "Several people are typing…";
  return `${listed(users)} ${users.length === 1 ? "is" : "are"} typing…`;
}

export const others = (count) => `and ${count} more`;

export const peopleHere = (count) => (count === 1 ? "1 person here" : `${count} people here`);

export const newMessages = (count) => {
  if (count === 0) return "Newest messages";
  return count === 1 ? "1 new message" : `${count} new messages`;
};

export const said = (message) => `${message.from.name}: ${message.message}`;

/** What stands above the first message at hand. */
export function top({ more, older, online, epoch }) {
  if (older.before !== null) return "Loading older messages…";
  if (more) return online ? "" : "Older messages come when you are connected again.";
  return epoch === null ? "" : "This is where the room begins.";
}

/** The line about the connection: {text, detail}; the text is empty when all is well. */
export function connection({ state, retryAt, closed, doubted }, offline, now) {
  if (state === "open") {
    return { text: doubted && offline ? "Your device says that it is offline." : "", detail: "" };
  }
  if (state === "waiting") {
    const next = duration((retryAt - now) / 1000);
    return { text: lost(closed, offline), detail: `Next try in ${next}.` };
  }
  return closed
    ? { text: lost(closed, offline), detail: "Connecting…" }
    : { text: "Connecting…", detail: "" };
}

function lost({ code, reason }, offline) {
  if (offline) return "Disconnected: your device is offline.";
  if (code === 1008) return `The server closed the connection: ${reason || "against its rules"}.`;
  if (code === 1012) return "Disconnected: the server is restarting.";
  if (code === 1013) return "Disconnected: the server is very busy.";
  return "Disconnected.";
}

/** An `error` in plain words; `limits` are the server's. */
export function problem({ code, message, retry_after: wait }, limits) {
  const again = wait ? ` Try again in ${duration(wait)}.` : "";
  const known = {
    name_taken: "Somebody else has this name.",
    bad_name: `A name has 1 to ${limits.name} characters, none of them invisible.`,
    bad_room: "There can be no room of this name.",
    not_in_room: "You are not in this room any more. Reload the page to enter it.",
    too_long: `This is longer than ${limits.message} characters.`,
    empty: "There is nothing in it.",
    rate_limited: `That was too quick.${again}`,
    unavailable: `The server can keep nothing at the moment.${again}`,
    nonce_reused: "Something else was already said under its number. Please send it again.",
    bad_message: "The server did not understand that.",
  };
  return Object.hasOwn(known, code) ? known[code] : message || "Something went wrong.";
}

/** What became of a message that is not said yet. */
export function unsaid(entry, online, limits) {
  if (entry.failed) return `Not sent. ${problem({ code: entry.problem }, limits)}`;
  if (!online) return "Sent when you are connected again";
  if (entry.problem === "rate_limited") return "Sending in a moment: that was too quick";
  if (entry.problem === "unavailable") {
    return "Trying again: the server can keep nothing at the moment";
  }
  return "Sending…";
}

/** How it stands with a wish for another name. */
export function renaming(wish, online, limits) {
  if (wish?.problem) return problem(wish.problem, limits);
  return wish && !online ? "Done as soon as you are connected again." : "";
}

/** An `error` that belongs to no message and no wish; a name is asked for by connecting, too. */
export function notice(error, self, limits) {
  const text = problem(error, limits);
  return error.code.includes("name") ? `${text} You are ${apart(self.name)} for now.` : text;
}

export const length = (count, limit) => `${count} / ${limit}`;
