const asked = new Map();

/** Have the page take the style sheet of this name; the promise is fulfilled when it counts. */
export function sheet(name) {
  if (!asked.has(name)) {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = name;
    asked.set(
      name,
      new Promise((done, fail) => {
        link.onload = done;
        link.onerror = () => {
          asked.delete(name);
          link.remove();
          fail(new Error(`${name} cannot be had`));
        };
      }),
    );
    document.head.append(link);
  }
  return asked.get(name);
}
