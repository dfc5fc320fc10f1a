// Phone numbers and codes as people write them. Nothing here knows of the page or the network.

// latin turns Persian (U+06F0…) and Arabic-Indic (U+0660…) digits into ASCII ones.
export const latin = text => text.replace(/[۰-۹٠-٩]/g, digit => String(digit.charCodeAt(0) & 15))

export const digitsOf = text => latin(text).replace(/\D/g, '')

// codeIn finds the code in a message, which may hold other numbers: the first run of exactly length digits.
export function codeIn(text, length) {
  const exact = text => latin(text).match(/\d+/g)?.find(run => run.length === length)
  return exact(text) ?? exact(text.replace(/([\d۰-۹٠-٩])[\s-](?=[\d۰-۹٠-٩])/g, '$1')) ?? ''
}

// Numbers reads and writes phone numbers by the regions and plans of settings.json, which are libphonenumber's.
export class Numbers {
  constructor({ regions, plans }) {
    this.regions = new Map(regions.map(region => [region.code, region]))
    this.plans = plans
  }

  // read takes what stands in a number field beside a region. A number that begins with + or 00 chooses the region
  // itself, unless its calling code is not known (yet): then international is true, and digits begin with that code.
  // A whole number, pasted or filled in, may have the calling code without a sign.
  read(text, region, { whole = false, keep = false } = {}) {
    let digits = digitsOf(text)
    const sign = /^\D*\+/.test(text)
    if (sign || digits.startsWith('00')) {
      if (!sign) digits = digits.slice(2)
      const calling = [1, 2, 3].map(length => digits.slice(0, length)).find(code => Object.hasOwn(this.plans, code))
      if (!calling) return { region, digits, international: true }
      digits = digits.slice(calling.length)
      return { region: this.regionOf(calling, digits, region), digits, international: false }
    }
    const { calling, example } = this.regions.get(region)
    if (whole && digits.startsWith(calling) && digits.length === calling.length + example.length) digits = digits.slice(calling.length)
    return { region: keep ? region : this.regionOf(calling, digits, region), digits, international: false }
  }

  // regionOf is the region of a number, of those that share its calling code. Until the digits tell, it is the current one.
  regionOf(calling, digits, current) {
    const sharers = [...this.regions.values()].filter(region => region.calling === calling)
    const owner = sharers.find(region => region.own && starts(region.own, digits))
    if (owner) return owner.code
    const now = sharers.find(region => region.code === current)
    if (now && (!now.own || digits.length < now.example.length)) return current
    return (sharers.find(region => region.code === this.plans[calling].main) ?? sharers[0]).code
  }

  // e164 is what to send. The service takes the national prefix out, if there is one.
  e164({ region, digits, international }) {
    return '+' + (international ? '' : this.regions.get(region).calling) + digits
  }

  // format writes as much of a number as there is.
  format({ region, digits, international }) {
    return international ? '+' + digits : this.national(this.regions.get(region).calling, digits)
  }

  // written is an E.164 number as it is written between countries.
  written(e164) {
    const { digits, region, international } = this.read(e164, null)
    if (international) return e164
    const { calling } = this.regions.get(region)
    return `+${calling} ${this.national(calling, digits)}`
  }

  national(calling, digits) {
    const { prefix = '', formats = [] } = this.plans[calling]
    const prefixed = prefix !== '' && digits.startsWith(prefix)
    const number = prefixed ? digits.slice(prefix.length) : digits
    if (number.length < 3) return digits
    const fitting = formats.filter(({ leading }) => !leading || starts(leading[Math.min(number.length - 3, leading.length - 1)], number))
    const whole = fitting.find(({ pattern }) => new RegExp(`^(?:${pattern})$`).test(number))
    const written = (whole ? [whole] : fitting).map(format => fill(format, number, { prefix, prefixed, whole }))
    return written.sort((a, b) => a.rest - b.rest).find(({ text }) => digitsOf(text) === digits)?.text ?? digits
  }
}

const starts = (pattern, digits) => new RegExp(`^(?:${pattern})`).test(digits)

// fill puts the digits into the groups of a format, and leaves the separators after the last digit out. The rest is how
// many digits the groups have no room for.
function fill({ pattern, groups, format, rule }, digits, { prefix, prefixed, whole }) {
  const lengths = whole ? digits.match(`^(?:${pattern})$`).slice(1).map(group => group?.length ?? 0) : groups
  const hasPrefix = prefix !== '' && rule?.includes(prefix)
  if (rule && (prefixed || !hasPrefix)) format = format.replace('$1', () => rule)
  if (prefixed && !hasPrefix) format = `${prefix} ${format}`
  let rest = digits
  const text = format.replace(/(\D*?)\$(\d)/g, (_, separator, n) => {
    const group = rest.slice(0, lengths[n - 1])
    rest = rest.slice(group.length)
    return group && separator + group
  })
  return { text: text.replace(/\D+$/, '') + rest, rest: rest.length }
}
