// This program logs in with the client that oapi-codegen builds from /openapi-3.0.yaml. Its arguments are the URL of
// the service and a phone. It prints what it was answered.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
)

func main() {
	ctx, phone := context.Background(), os.Args[2]
	c, err := NewClientWithResponses(os.Args[1])
	check(err)
	sent, err := c.RequestCodeWithResponse(ctx, CodeRequest{Phone: phone})
	check(err)
	fmt.Println(sent.JSON202.Phone, sent.JSON202.CodeLength)

	wrong, err := c.VerifyCodeWithResponse(ctx, CodeAnswer{Phone: phone, Code: "1"})
	check(err)
	fmt.Println(wrong.ApplicationproblemJSON422.Code)

	code := ""
	for code == "" {
		shown, err := c.DevMessagesWithResponse(ctx, &DevMessagesParams{Phone: &phone})
		check(err)
		for _, m := range shown.JSON200.Messages {
			code = m.Code
		}
	}
	verified, err := c.VerifyCodeWithResponse(ctx, CodeAnswer{Phone: phone, Code: code})
	check(err)
	login, err := verified.JSON201.AsLogin()
	check(err)
	fmt.Println(login.NewUser, *login.User.Phone)

	next, err := c.RefreshTokenWithResponse(ctx, Refresh{RefreshToken: login.RefreshToken})
	check(err)
	me, err := c.GetMeWithResponse(ctx, func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+next.JSON200.AccessToken)
		return nil
	})
	check(err)
	fmt.Println(*me.JSON200.Phone, me.JSON200.LastLoginAt != nil)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
