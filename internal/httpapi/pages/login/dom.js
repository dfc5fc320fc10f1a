// @ts-check
// Short names for what the page does with its elements.

/**
 * Returns the element with an id. It throws if there is none of that type, because index.html and the scripts belong
 * together.
 *
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @param {new () => T} [type]
 * @returns {T}
 */
export function $(id, type) {
  const found = document.getElementById(id)
  if (found instanceof (type ?? HTMLElement)) return /** @type {T} */ (found)
  throw new TypeError(`no #${id}`)
}

/**
 * Returns a new element with these properties.
 *
 * @template {keyof HTMLElementTagNameMap} N
 * @param {N} name
 * @param {Partial<HTMLElementTagNameMap[N]>} [properties]
 */
export const make = (name, properties = {}) => Object.assign(document.createElement(name), properties)
