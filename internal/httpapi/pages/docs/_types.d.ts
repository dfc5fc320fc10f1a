// What docs.js uses of swagger-ui-bundle.js, which is a script and no module.

declare interface SwaggerResponse {
  url: string
  ok: boolean
  body?: { access_token?: string }
}

declare function SwaggerUIBundle(options: object): { preauthorizeApiKey(scheme: string, token: string): void }
