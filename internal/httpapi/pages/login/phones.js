// @ts-check
// Phones and codes as people write them. Nothing in this file depends on the page or on the network.

/** @import { Format, Plan, Region, TypedPhone } from './_types.js' */

/**
 * Turns Persian (U+06F0…) and Arabic-Indic (U+0660…) digits into ASCII ones.
 *
 * @param {string} text
 */
export const latin = text => text.replace(/[۰-۹٠-٩]/g, digit => String(digit.charCodeAt(0) & 15))

/** @param {string} text */
export const digitsOf = text => latin(text).replace(/\D/g, '')

/**
 * Returns the code in a message, or '' if there is none: the first run of exactly length digits, without regard to
 * separators if there is no such run.
 *
 * @param {string} message
 * @param {number} length
 */
export function codeIn(message, length) {
  /** @param {string} text */
  const find = text => latin(text).match(/\d+/g)?.find(run => run.length === length)
  return find(message) ?? find(message.replace(/([\d۰-۹٠-٩])[\s-](?=[\d۰-۹٠-٩])/g, '$1')) ?? ''
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
    const international = this.#international(text)
    if (international !== null) return this.#split(international, region)
    let digits = digitsOf(text)
    const { calling, example } = this.region(region)
    const isWithCalling = digits.startsWith(calling) && digits.length === calling.length + example.length
    if (whole && isWithCalling) digits = digits.slice(calling.length)
    return { region: keep ? region : this.#regionOf(calling, digits, region), digits, international: false }
  }

  /**
   * Returns the digits of a phone that begins with + or 00 without those, or null for any other.
   *
   * @param {string} text
   */
  #international(text) {
    const digits = digitsOf(text)
    if (/^\D*\+/.test(text)) return digits
    return digits.startsWith('00') ? digits.slice(2) : null
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
   * Returns a phone as it is sent to the service. A national prefix that was typed stays in it; the service removes it.
   *
   * @param {TypedPhone} typed
   */
  asSent({ region, digits, international }) {
    return `+${international ? '' : this.region(region).calling}${digits}`
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
