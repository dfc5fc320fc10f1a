// @ts-check
// The operator's page. It asks for numbers.json again and again, and draws it; nothing is kept in the browser.

import { Charts } from './charts.js'
import { Doctor } from './doctor.js'
import { $, make, setText } from './dom.js'
import { Lookup } from './lookup.js'
import { Numbers } from './numbers.js'
import { drawAnswers, drawDelays, drawFunnel, drawProviders, drawRefusals, drawRegions, drawTiles } from './tables.js'
import { verdict } from './verdict.js'
import { clockSeconds, dayAt, many, regionName } from './words.js'

/** @import { Mood, NumbersReply } from './_types.js' */

const pollEvery = 3000 // milliseconds
const giveUpAfter = 8000

/** How the page calls the moods. @type {Record<Mood, string>} */
const moods = { good: 'Good', watch: 'Take a look', bad: 'Bad', none: 'Quiet' }

/** Filters is the form that selects what is shown. */
class Filters {
  form = $('filters', HTMLFormElement)
  #region = this.#select('region')
  #provider = this.#select('provider')

  constructor() {
    this.form.addEventListener('submit', event => event.preventDefault())
  }

  /** @param {string} name */
  #select(name) {
    return /** @type {HTMLSelectElement} */ (this.form.elements.namedItem(name))
  }

  get chosen() {
    /** @param {HTMLSelectElement} select */
    const valueOf = ({ value }) => (value ? value.slice(1) : undefined)
    const hours = /** @type {RadioNodeList} */ (this.form.elements.namedItem('hours'))
    return { hours: Number(hours.value), region: valueOf(this.#region), provider: valueOf(this.#provider) }
  }

  /** @param {Numbers} numbers */
  draw(numbers) {
    const all = numbers.last(48)
    const providers = all.values('provider', ['sent', 'failed', 'delivered']).filter(name => name && name !== 'none')
    fillSelect(this.#region, all.values('region').map(region => [`=${region}`, regionName(region)]))
    fillSelect(this.#provider, providers.map(provider => [`=${provider}`, provider]))
    setText($('since'), `since ${dayAt(numbers.since(this.chosen.hours))}`)
  }
}

/** Page owns what changes: the last numbers, and the polls that bring them. */
class Page {
  /** The last numbers. @type {Numbers | null} */
  #numbers = null
  /** When they came, in milliseconds since 1970. @type {number | null} */
  #answeredAt = null
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer
  #turn = 0 // counts polls
  #filters = new Filters()
  #charts = new Charts()

  constructor() {
    const redraw = () => this.#draw()
    this.#filters.form.addEventListener('input', redraw)
    $('by-hour').addEventListener('toggle', redraw)
    document.addEventListener('visibilitychange', () => this.poll())
    for (const change of ['(prefers-color-scheme: dark)', '(forced-colors: active)']) {
      matchMedia(change).addEventListener('change', () => {
        this.#charts.clear()
        this.#draw()
      })
    }
  }

  /** Asks for the numbers now, and then again and again. It does not ask while the tab is hidden. */
  async poll() {
    clearTimeout(this.#timer)
    if (document.hidden) return
    const turn = ++this.#turn
    const reply = await ask()
    if (turn !== this.#turn) return // another poll has begun
    if (reply) this.#take(reply)
    else this.#lose()
    this.#timer = setTimeout(() => this.poll(), pollEvery)
  }

  /** @param {NumbersReply} reply */
  #take(reply) {
    this.#numbers = new Numbers(reply)
    this.#answeredAt = Date.now()
    this.#setLive('live', 'Live')
    this.#draw()
  }

  #lose() {
    this.#setLive('lost', 'No answer')
    document.title = 'No answer · Dekamond OTP'
    if (!this.#numbers) setText($('headline'), 'No numbers yet.')
  }

  /**
   * @param {'live' | 'lost'} state
   * @param {string} text
   */
  #setLive(state, text) {
    $('live').dataset.state = state
    setText($('live-text'), text)
    document.body.classList.toggle('stale', state === 'lost')
    this.#drawNotice()
  }

  #draw() {
    const numbers = this.#numbers
    if (!numbers) return
    const { version, copies, hours } = numbers.reply
    $('about').textContent = `${version ? `${version} · ` : ''}${many(copies, 'copy', 'copies')}`
    drawVerdict(numbers)
    this.#drawNotice()
    $('welcome').hidden = hours.length > 0
    $('numbers').hidden = !hours.length
    if (hours.length) this.#drawNumbers(numbers)
  }

  /** @param {Numbers} numbers */
  #drawNumbers(numbers) {
    this.#filters.draw(numbers)
    const { hours, region, provider } = this.#filters.chosen
    const sum = numbers.last(hours)
    const filter = { region, provider }
    drawTiles(numbers, sum, region)
    drawFunnel(numbers, sum, filter)
    drawDelays(numbers, sum)
    this.#charts.draw(numbers, hours, filter)
    drawRegions(numbers, sum, filter)
    drawProviders(numbers, sum, filter)
    drawAnswers(sum, { region })
    drawRefusals(sum, { region })
  }

  #drawNotice() {
    const text = this.#notice()
    setText($('notice'), text)
    $('notice').hidden = !text
  }

  #notice() {
    if ($('live').dataset.state === 'lost') {
      const since = this.#answeredAt === null
        ? ''
        : ` These are the numbers of ${clockSeconds.format(this.#answeredAt)}.`
      return `The service does not answer.${since}`
    }
    if (!this.#numbers || this.#numbers.reply.shared) return ''
    const { shared_at } = this.#numbers.reply
    if (!shared_at) return 'Redis does not answer: these are the numbers of this copy alone, since it started.'
    const last = clockSeconds.format(Date.parse(shared_at))
    return `Redis does not answer: the counts of other copies are missing after ${last}.`
  }
}

/**
 * Offers values beside "All". Each begins with "=", so that the unknown region differs from all regions. The chosen
 * value stays, even if it is offered no longer.
 *
 * @param {HTMLSelectElement} select
 * @param {string[][]} values value and text
 */
function fillSelect(select, values) {
  const chosen = select.value
  const options = [['', 'All'], ...values.sort((a, b) => a[1].localeCompare(b[1]))]
  if (chosen && !options.some(([value]) => value === chosen)) options.push([chosen, chosen.slice(1)])
  const shown = [...select.options].map(option => `${option.value},${option.text}`)
  if (options.map(String).join() === shown.join()) return
  select.replaceChildren(...options.map(([value, text]) => make('option', { value }, text)))
  select.value = chosen
}

/** @param {Numbers} numbers */
function drawVerdict(numbers) {
  const { mood, headline, points, short } = verdict(numbers)
  $('verdict').dataset.mood = mood
  setText($('mood'), moods[mood])
  setText($('headline'), headline)
  const items = points.map(point => {
    const item = make('li', {}, point.text, ' ', make('a', { href: point.help }, 'What to do'))
    item.dataset.mood = point.mood
    return item
  })
  if ($('points').innerHTML !== make('ul', {}, ...items).innerHTML) $('points').replaceChildren(...items)
  const isAlarm = mood === 'bad' || mood === 'watch'
  document.title = [isAlarm ? `${moods[mood]} ${short}`.trim() : short, 'Dekamond OTP'].filter(Boolean).join(' · ')
}

/** @returns {Promise<NumbersReply | null>} null if the service does not answer */
async function ask() {
  try {
    const response = await fetch('numbers.json', { cache: 'no-store', signal: AbortSignal.timeout(giveUpAfter) })
    return response.ok ? await response.json() : null
  } catch {
    return null
  }
}

new Lookup()
new Doctor()
new Page().poll()
