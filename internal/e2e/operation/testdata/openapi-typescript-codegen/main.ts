// This program logs in with the client that openapi-typescript-codegen builds from /openapi-3.0.yaml. Its arguments are
// the URL of the service and a phone. It prints what it was answered.
import { ApiError, DevelopmentService, LoginService, OpenAPI, UserService } from './client'
import type { CodeSent, Login, Tokens, User } from './client'

declare const process: { argv: string[] }

async function main(base: string, phone: string) {
  OpenAPI.BASE = base
  const sent = await LoginService.requestCode({ phone }) as CodeSent
  console.log(sent.phone, sent.code_length)

  const problem = await LoginService.verifyCode({ phone, code: '1' }).catch((error: ApiError) => error.body)
  console.log(problem.code)

  let code = ''
  while (code === '') {
    const shown = await DevelopmentService.devMessages(phone)
    if ('messages' in shown) for (const message of shown.messages) code = message.code
  }
  const login = await LoginService.verifyCode({ phone, code }) as Login
  console.log(login.new_user, login.user.phone)

  const next = await LoginService.refreshToken({ refresh_token: login.refresh_token }) as Tokens
  OpenAPI.TOKEN = next.access_token
  const me = await UserService.getMe() as User
  const lastLogin: string | null = me.last_login_at
  console.log(me.phone, lastLogin !== null)
}

void main(process.argv[2], process.argv[3])
