'use strict'

// Before the page is drawn.
const theme = document.documentElement.classList
theme.toggle('dark-mode', matchMedia('(prefers-color-scheme: dark)').matches)

addEventListener('DOMContentLoaded', () => {
  const button = document.createElement('button')
  const label = () => {
    const dark = theme.contains('dark-mode')
    button.textContent = dark ? '☀' : '☾'
    button.ariaLabel = button.title = dark ? 'Light' : 'Dark'
    document.querySelector('meta[name=color-scheme]').content = dark ? 'dark' : 'light'
  }
  button.className = 'theme'
  button.onclick = () => { theme.toggle('dark-mode'); label() }
  label()
  document.body.prepend(button)

  const calls = SwaggerUIBundle({
    url: 'openapi.yaml', domNode: document.getElementById('calls'), validatorUrl: null,
    deepLinking: true, tryItOutEnabled: true, displayRequestDuration: true, defaultModelsExpandDepth: 0,
    // Whoever logs in here is logged in for the calls that need it.
    responseInterceptor(response) {
      const path = new URL(response.url).pathname
      if (response.ok && (path.endsWith('/otp/verify') || path.endsWith('/token/refresh')) && response.body?.access_token) {
        calls.preauthorizeApiKey('accessToken', response.body.access_token)
      }
      return response
    },
  })
})
