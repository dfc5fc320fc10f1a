// @ts-check
// Phones and codes as people write them. Nothing in this file depends on the page or on the network.

/** @import { AskedPhone, Format, Plan, Region, TypedPhone } from './_types.js' */

const PLUS = '+＋﹢⁺₊˖﬩➕'

/**
 * Turns the digits of every script into ASCII ones. Unicode has the ten digits of a script in a row, from zero to nine,
 * and the rows of some scripts side by side.
 *
 * @param {string} text
 */
export const latin = text => text.replace(/(?![0-9])\p{Nd}/gu, digit => {
  const point = digit.codePointAt(0) ?? 0
  let first = point
  while (/\p{Nd}/u.test(String.fromCodePoint(first - 1))) first--
  return String((point - first) % 10)
})

/** @param {string} text */
export const digitsOf = text => latin(text).replace(/\D/g, '')

/**
 * Reports whether a plus stands before the first digit.
 *
 * @param {string} text
 */
export const hasPlus = text => new RegExp(`^\\P{Nd}*[${PLUS}]`, 'u').test(text)

/**
 * Returns the code in a message, or '' if there is none: the first run of exactly length digits, without regard to
 * white space, dashes and invisible characters if there is no such run.
 *
 * @param {string} message
 * @param {number} length
 */
export function codeIn(message, length) {
  const text = latin(message)
  /** @param {string} written */
  const find = written => written.match(/\d+/g)?.find(run => run.length === length)
  return find(text) ?? find(text.replace(/(\d)[\p{Z}\p{Pd}\p{Cf}\s]+(?=\d)/gu, '$1')) ?? ''
}

/** Phones reads and writes phones by the regions and plans of settings.json, which are libphonenumber's. */
export class Phones {
  #plans

  /** @param {{ regions: Region[], plans: Record<string, Plan> }} settings */
  constructor({ regions, plans }) {
    this.regions = new Map(regions.map(region => [region.code, region]))
    this.#plans = plans
  }

  /**
   * Returns a region by its code. It throws if the region is not on offer.
   *
   * @param {string} code
   */
  region(code) {
    const region = this.regions.get(code)
    if (!region) throw new RangeError(`no region ${code}`)
    return region
  }

  /**
   * Reads the text of a phone field that has a region beside it. A phone that begins with + or 00 sets the region,
   * unless its calling code is not known (yet).
   *
   * @param {string} text
   * @param {string} region
   * @param {{ whole?: boolean, keep?: boolean }} [options] whole: the text was pasted or filled in, so it may begin
   *   with the calling code without a sign; keep: national digits do not change the region
   * @returns {TypedPhone}
   */
  read(text, region, { whole = false, keep = false } = {}) {
    const international = this.#cutSign(text)
    if (international !== null) return this.#split(international, region)
    const digits = whole ? this.#withoutCalling(region, digitsOf(text)) : digitsOf(text)
    const owner = this.#regionOf(this.region(region).calling, digits, region)
    const isSure = !keep && (!whole || this.isMobile(owner, digits)) // a local number begins with the digits of others
    return { region: isSure ? owner : region, digits, international: false }
  }

  /**
   * Takes the calling code off digits that are a number of the region with it, and none without it.
   *
   * @param {string} region
   * @param {string} digits
   */
  #withoutCalling(region, digits) {
    const { calling } = this.region(region)
    const national = digits.slice(calling.length)
    const isWithCalling = digits.startsWith(calling) && this.isMobile(region, national)
    return isWithCalling && !this.isMobile(region, digits) ? national : digits
  }

  /**
   * Returns the digits of a phone that begins with + or 00 without those, or null for any other.
   *
   * @param {string} text
   */
  #cutSign(text) {
    const digits = digitsOf(text)
    if (digits.startsWith('00')) return digits.slice(2)
    return hasPlus(text) && !digits.startsWith('0') ? digits : null // no calling code begins with 0
  }

  /**
   * Reports whether a whole national number, with or without the national prefix, can receive texts.
   *
   * @param {string} code of the region
   * @param {string} digits
   */
  isMobile(code, digits) {
    const { calling, mobile } = this.region(code)
    const { prefix = '' } = this.#plans[calling]
    const isWhole = new RegExp(`^(?:${mobile})$`)
    const isPrefixed = prefix !== '' && digits.startsWith(prefix)
    return isWhole.test(digits) || (isPrefixed && isWhole.test(digits.slice(prefix.length)))
  }

  /**
   * Returns the region to which a phone without a plus may belong that is none of the chosen region's: the likeliest,
   * or else the only one in whose form it is.
   *
   * @param {TypedPhone} typed
   * @param {string[]} likely the codes of regions, the likeliest first
   * @returns {string | undefined}
   */
  other({ region, digits, international }, likely) {
    if (international) return undefined
    /** @param {string} code */
    const fits = code => code !== region && this.isMobile(code, this.#withoutCalling(code, digits))
    const all = [...this.regions.keys()].filter(fits)
    return likely.find(fits) ?? (all.length === 1 ? all[0] : undefined)
  }

  /**
   * Takes the calling code off.
   *
   * @param {string} digits
   * @param {string} region the current one
   * @returns {TypedPhone}
   */
  #split(digits, region) {
    const calling = [1, 2, 3].map(n => digits.slice(0, n)).find(code => Object.hasOwn(this.#plans, code))
    if (!calling) return { region, digits, international: true }
    const national = digits.slice(calling.length)
    return { region: this.#regionOf(calling, national, region), digits: national, international: false }
  }

  /**
   * Returns the region of a phone among the regions that share its calling code. As long as the digits do not decide,
   * that is the current region.
   *
   * @param {string} calling
   * @param {string} digits
   * @param {string} current
   */
  #regionOf(calling, digits, current) {
    const sharers = [...this.regions.values()].filter(region => region.calling === calling)
    const owner = sharers.find(region => region.own && starts(region.own, digits))
    if (owner) return owner.code
    const now = sharers.find(region => region.code === current)
    if (now && (!now.own || digits.length < now.example.length)) return current
    return (sharers.find(region => region.code === this.#plans[calling].main) ?? sharers[0]).code
  }

  /**
   * Returns a phone as it is sent to the service, which reads it in the form of the region.
   *
   * @param {TypedPhone} typed
   * @returns {AskedPhone}
   */
  asSent({ region, digits, international }) {
    return international ? { phone: `+${digits}` } : { phone: digits, region }
  }

  /**
   * Returns a phone in a form like E.164, in which a national prefix may have stayed.
   *
   * @param {TypedPhone} typed
   */
  international({ region, digits, international }) {
    return international ? `+${digits}` : `+${this.region(region).calling}${this.#withoutCalling(region, digits)}`
  }

  /**
   * Writes a phone as far as it is typed.
   *
   * @param {TypedPhone} typed
   */
  format({ region, digits, international }) {
    return international ? `+${digits}` : this.#national(this.region(region).calling, digits)
  }

  /**
   * Writes a phone in E.164 form as it is written between countries.
   *
   * @param {string} e164
   */
  written(e164) {
    const { digits, region, international } = this.#split(digitsOf(e164), '')
    if (international) return e164
    const { calling } = this.region(region)
    return `+${calling} ${this.#national(calling, digits)}`
  }

  /**
   * @param {string} calling
   * @param {string} digits
   */
  #national(calling, digits) {
    const { prefix = '', formats = [] } = this.#plans[calling]
    const isPrefixed = prefix !== '' && digits.startsWith(prefix)
    const number = isPrefixed ? digits.slice(prefix.length) : digits
    if (number.length < 3) return digits
    const fitting = formats.filter(({ leading }) => !leading || starts(leadingOf(leading, number), number))
    const whole = fitting.find(({ pattern }) => new RegExp(`^(?:${pattern})$`).test(number))
    const written = (whole ? [whole] : fitting)
      .map(format => fill(format, number, { prefix, isPrefixed, isWhole: whole !== undefined }))
    return written.sort((a, b) => a.rest - b.rest).find(({ text }) => digitsOf(text) === digits)?.text ?? digits
  }
}

/**
 * @param {string} pattern
 * @param {string} digits
 */
const starts = (pattern, digits) => new RegExp(`^(?:${pattern})`).test(digits)

/**
 * Returns the pattern for as many digits as there are; the first pattern is for three of them.
 *
 * @param {string[]} leading
 * @param {string} number
 */
const leadingOf = (leading, number) => leading[Math.min(number.length - 3, leading.length - 1)]

/**
 * Puts digits into the groups of a format, without the separators behind the last digit. The rest is the count of the
 * digits that the groups have no room for.
 *
 * @param {Format} format
 * @param {string} digits
 * @param {{ prefix: string, isPrefixed: boolean, isWhole: boolean }} options
 */
function fill({ pattern, groups, format, rule }, digits, { prefix, isPrefixed, isWhole }) {
  const found = isWhole ? digits.match(`^(?:${pattern})$`) : null
  const lengths = found ? found.slice(1).map(group => group?.length ?? 0) : groups
  const isPrefixInRule = prefix !== '' && rule?.includes(prefix)
  let template = format
  if (rule && (isPrefixed || !isPrefixInRule)) template = template.replace('$1', () => rule)
  if (isPrefixed && !isPrefixInRule) template = `${prefix} ${template}`
  let rest = digits
  const text = template.replace(/(\D*?)\$(\d)/g, (_, separator, n) => {
    const group = rest.slice(0, lengths[n - 1])
    rest = rest.slice(group.length)
    return group && separator + group
  })
  return { text: text.replace(/\D+$/, '') + rest, rest: rest.length }
}
