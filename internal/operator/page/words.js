// @ts-check
// How the page writes numbers, times and names. Its sentences are English; the rest follows the browser's languages.

/** The languages of the browser, except names that are no language, such as "C" in a browser without a locale. */
const languages = navigator.languages.filter(isTag)
const hourAndMinute = /** @type {const} */ ({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
const regionNames = new Intl.DisplayNames(languages, { type: 'region' })

export const number = new Intl.NumberFormat(languages)
export const compact = new Intl.NumberFormat(languages, { notation: 'compact' })
export const percent = new Intl.NumberFormat(languages, { style: 'percent' })
export const seconds = new Intl.NumberFormat(languages, {
  style: 'unit',
  unit: 'second',
  unitDisplay: 'narrow',
  maximumFractionDigits: 0,
})
const clock = new Intl.DateTimeFormat(languages, hourAndMinute)
export const clockSeconds = new Intl.DateTimeFormat(languages, { ...hourAndMinute, second: '2-digit' })
const day = new Intl.DateTimeFormat(languages, { ...hourAndMinute, weekday: 'short' })
export const list = new Intl.ListFormat('en')

/** @param {string} language */
function isTag(language) {
  try {
    return Intl.getCanonicalLocales(language).length > 0
  } catch {
    return false
  }
}

/** @param {string} code */
export function regionName(code) {
  if (!code) return 'Unknown region'
  try {
    return regionNames.of(code) ?? code
  } catch {
    return code // 001, for example, whose phones belong to no country
  }
}

/** @param {string} name */
export const providerName = name => (name === 'none' ? 'Not known' : name)

/**
 * Isolates a text that may read from right to left.
 *
 * @param {string} text
 */
export const isolated = text => `\u2068${text}\u2069`

/**
 * @param {number} n
 * @param {string} one
 * @param {string} more
 */
export const many = (n, one, more) => `${number.format(n)} ${n === 1 ? one : more}`

/** @param {number} t seconds since 1970 */
export const at = t => clock.format(t * 1000)

/** @param {number} t seconds since 1970 */
export const dayAt = t => day.format(t * 1000)

/**
 * Writes a/b. An hour may see more answers than messages, because the messages were sent in the hour before.
 *
 * @param {number} a
 * @param {number} b
 */
export function share(a, b) {
  if (!b) return '–'
  return a > b ? `> ${percent.format(1)}` : percent.format(a / b)
}
