// @ts-check
// The one thing that the person waits for.

/** A Task lets a button wait. Whatever a button asks for is asked for once, however often the button is pressed. */
export class Task {
  /** @type {{ button: HTMLElement } | undefined} */
  #running

  get isRunning() {
    return this.#running !== undefined
  }

  /**
   * Runs work while its button waits, unless something runs already. The person may leave the step before the work is
   * done, so work receives a function that reports whether the person still waits for it.
   *
   * @param {HTMLElement} button
   * @param {(isAwaited: () => boolean) => Promise<unknown>} work
   */
  async run(button, work) {
    if (this.#running) return
    const mine = this.#running = { button }
    document.body.dataset.busy = 'true'
    button.classList.add('busy')
    try {
      await work(() => this.#running === mine)
    } finally {
      if (this.#running === mine) this.leave()
    }
  }

  /** Stops waiting for the work, which goes on without a button that waits. */
  leave() {
    this.#running?.button.classList.remove('busy')
    this.#running = undefined
    delete document.body.dataset.busy
  }
}
