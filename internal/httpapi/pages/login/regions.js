// @ts-check
// The regions of the world as the browser knows them: where it is, and their flags.

/** @import { Region } from './_types.js' */

/**
 * Returns the region where the browser seems to be.
 *
 * @param {Map<string, Region>} regions the regions on offer
 * @param {string} preferred wins if it is on offer
 */
export function likelyRegion(regions, preferred) {
  return likelyRegions(regions, preferred)[0] ?? [...regions.keys()][0]
}

/**
 * Returns the regions where the browser may be, the likeliest first. Its time zone is a better sign than its languages,
 * which are often just English.
 *
 * @param {Map<string, Region>} regions the regions on offer
 * @param {string} preferred is first if it is on offer
 * @param {readonly string[]} languages of the person, the likeliest first
 */
export function likelyRegions(regions, preferred, languages = navigator.languages) {
  const spoken = languages.map(regionOf).filter(code => regions.has(code))
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
  const here = zone === 'UTC' ? undefined : [...spoken, ...regions.keys()].find(code => zonesOf(code).includes(zone))
  return [...new Set([preferred, here ?? '', ...spoken])].filter(code => regions.has(code))
}

/**
 * Returns the region where a language is spoken most, or '' for a tag such as en-US@posix.
 *
 * @param {string} tag
 */
function regionOf(tag) {
  try {
    return new Intl.Locale(tag).maximize().region ?? ''
  } catch {
    return ''
  }
}

/**
 * @param {string} code
 * @returns {string[]}
 */
function zonesOf(code) {
  /** @type {Intl.Locale & { getTimeZones?: () => string[], timeZones?: string[] }} */
  const locale = new Intl.Locale('und', { region: code })
  return locale.getTimeZones?.() ?? locale.timeZones ?? [] // older browsers have the property
}

/** @param {string} code */
export const flagOf = code => String.fromCodePoint(...[...code].map(letter => 0x1f1a5 + letter.charCodeAt(0)))

/** Reports whether the system draws letters in place of flags. Then the page brings a font that has them. */
export function needsFlags() {
  const canvas = Object.assign(document.createElement('canvas'), { width: 20, height: 20 })
  const pen = canvas.getContext('2d', { willReadFrequently: true })
  if (!pen) return false
  pen.font = '16px sans-serif'
  pen.fillText(flagOf('CH'), 0, 16)
  const { data } = pen.getImageData(0, 0, 20, 20)
  return !data.some((_, i) => i % 4 === 0 && Math.abs(data[i] - data[i + 1]) > 40) // letters have no colour
}
