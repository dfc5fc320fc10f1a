// @ts-check
// What the tab and the browser remember. Where the person forbids storage, this page remembers it until it is left.

/** @typedef {Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>} Items */

export const tab = storage('sessionStorage')
export const browser = storage('localStorage')

/**
 * @param {'sessionStorage' | 'localStorage'} name
 * @returns {Items}
 */
function storage(name) {
  try {
    window[name].removeItem('otp') // throws where storage is forbidden
    return window[name]
  } catch {
    const items = new Map()
    return {
      getItem: key => items.get(key) ?? null,
      setItem: (key, value) => void items.set(key, value),
      removeItem: key => void items.delete(key),
    }
  }
}

/**
 * Returns what the tab remembers as JSON, or null if that is nothing or no JSON.
 *
 * @param {string} key
 */
export function recall(key) {
  try {
    return JSON.parse(tab.getItem(key) ?? 'null')
  } catch {
    return null
  }
}
