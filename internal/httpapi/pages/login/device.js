// @ts-check
// The names of browsers and systems. The first pattern that fits a User-Agent wins, because most browsers name others.

import { ltr } from './language.js'

/** @type {[RegExp, string][]} */
const browsers = [
  [/Edg/, 'Edge'],
  [/OPR|Opera/, 'Opera'],
  [/SamsungBrowser/, 'Samsung Internet'],
  [/Firefox|FxiOS/, 'Firefox'],
  [/Chrom|CriOS/, 'Chrome'],
  [/Safari/, 'Safari'],
]

/** @type {[RegExp, string][]} */
const systems = [
  [/iPhone/, 'iPhone'],
  [/iPad/, 'iPad'],
  [/Android/, 'Android'],
  [/Windows/, 'Windows'],
  [/CrOS/, 'ChromeOS'],
  [/Mac OS/, 'macOS'],
  [/Linux/, 'Linux'],
]

/**
 * Returns a short name for the device of a User-Agent, the beginning of an unknown one, or '' for an empty one.
 *
 * @param {string} agent
 */
export function deviceOf(agent) {
  /** @param {[RegExp, string][]} names */
  const find = names => names.find(([pattern]) => pattern.test(agent))?.[1]
  const [browser, system] = [find(browsers), find(systems)]
  return browser && system ? ltr(`${browser} · ${system}`) : agent.slice(0, 60)
}
