/** Tables whose keys are names that anybody may choose, `constructor` and `__proto__` included. */

export const EMPTY = Object.freeze(Object.create(null));

/** A table like `before` with `value` under `key`. */
export const put = (before, key, value) => table([...Object.entries(before), [key, value]]);

/** A table like `before` without `key`. */
export const drop = (before, key) =>
  table(Object.entries(before).filter(([other]) => other !== key));

/** A table of these [key, value]; the last one of a key counts, at the place of the first. */
export function table(entries) {
  const result = Object.create(null);
  for (const [key, value] of entries) result[key] = value;
  return result;
}
