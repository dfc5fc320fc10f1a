// @ts-check
// What the doctor finds wrong in the deployment, when the operator asks.

import { $, make, setText } from './dom.js'
import { clockSeconds } from './words.js'

/** @import { Mood } from './_types.js' */

/** The moods of the doctor's marks, the worst first. @type {Record<string, Mood>} */
const moods = { wrong: 'bad', weak: 'watch', note: 'none', ok: 'good' }
const marks = Object.keys(moods)

/** Lets the operator ask the doctor. */
export class Doctor {
  #button = $('doctor-ask', HTMLButtonElement)

  constructor() {
    this.#button.addEventListener('click', () => this.#ask())
  }

  async #ask() {
    this.#button.disabled = true
    setText($('doctor-state'), 'The doctor examines settings, stores and providers…')
    const report = await ask()
    this.#button.disabled = false
    const lines = report ? report.trim().split('\n') : []
    setText($('doctor-state'), lines.length
      ? `${lines[lines.length - 1]}, at ${clockSeconds.format(Date.now())}`
      : 'The doctor did not answer. The log of the service says why.')
    const findings = lines.map(line => line.match(/^(\w+) +(.+?) {2,}(.+)$/)?.slice(1)).filter(found => !!found)
    findings.sort(([a], [b]) => marks.indexOf(a) - marks.indexOf(b))
    $('findings').replaceChildren(...findings.map(([mark, about, text]) => {
      const said = make('span', { className: 'unseen' }, `${mark}: `)
      const item = make('li', {}, said, make('code', {}, about), ` ${text}`)
      item.dataset.mood = moods[mark]
      return item
    }))
  }
}

/** Returns the report; null if the service does not answer. */
async function ask() {
  try {
    const response = await fetch('doctor', { cache: 'no-store' })
    return response.ok ? await response.text() : null
  } catch {
    return null
  }
}
