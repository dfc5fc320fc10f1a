package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
)

type credentials struct {
	Phone string `json:"phone"`
	Code  string `json:"code"`
}

// yardstick serves the calls with nothing but their bare writes.
func yardstick(ctx context.Context) error {
	o, err := redis.ParseURL(os.Getenv("REDIS_URL"))
	if err != nil {
		return err
	}
	o.MaxRetries = -1
	r := redis.NewClient(o)
	c, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	c.MaxConns = 16
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return err
	}
	if _, err := pool.Exec(ctx, `create table yardstick (id uuid primary key, phone text not null unique, last_login_at timestamptz not null, refresh text)`); err != nil {
		return err
	}
	set := redis.NewScript(`redis.call('HSET', KEYS[1], 'code', ARGV[1]) redis.call('PEXPIRE', KEYS[1], 120000) return 1`)
	webhook := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}}
	secret := []byte("0123456789abcdef0123456789abcdef")

	answer := func(c *fiber.Ctx, id uuid.UUID, refresh string) error {
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": id.String(), "exp": time.Now().Add(15 * time.Minute).Unix()}).SignedString(secret)
		if err != nil {
			return err
		}
		return c.JSON(fiber.Map{"access_token": token, "token_type": "Bearer", "expires_in": 900, "refresh_token": id.String() + "." + refresh})
	}

	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Post("/otp/request", func(c *fiber.Ctx) error {
		var in credentials
		if err := json.Unmarshal(c.Body(), &in); err != nil {
			return err
		}
		code := fmt.Sprintf("%06d", mathrand.IntN(1e6))
		if err := set.Run(ctx, r, []string{"yardstick:" + in.Phone}, code).Err(); err != nil {
			return err
		}
		message, err := json.Marshal(fiber.Map{"id": uuid.NewString(), "to": in.Phone, "channel": "sms", "code": code, "text": code + " is your login code.", "locale": ""})
		if err != nil {
			return err
		}
		answer, err := webhook.Post(os.Getenv("SMS_WEBHOOK_URL"), "application/json", bytes.NewReader(message))
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		return c.Status(202).JSON(fiber.Map{"phone": in.Phone, "channel": "sms", "expires_in": 120, "resend_in": 30, "code_length": 6})
	})
	app.Post("/otp/verify", func(c *fiber.Ctx) error {
		var in credentials
		if err := json.Unmarshal(c.Body(), &in); err != nil {
			return err
		}
		if code, err := r.HGet(ctx, "yardstick:"+in.Phone, "code").Result(); err != nil || code != in.Code {
			return fiber.ErrUnauthorized
		}
		var id uuid.UUID
		const upsert = `insert into yardstick (id, phone, last_login_at) values ($1, $2, now()) on conflict (phone) do update set last_login_at = now() returning id`
		if err := pool.QueryRow(ctx, upsert, uuid.New(), in.Phone).Scan(&id); err != nil {
			return err
		}
		return answer(c, id, rand.Text())
	})
	app.Get("/me", func(c *fiber.Ctx) error {
		text, _ := strings.CutPrefix(c.Get("Authorization"), "Bearer ")
		token, err := jwt.Parse(text, func(*jwt.Token) (any, error) { return secret, nil }, jwt.WithValidMethods([]string{"HS256"}))
		if err != nil {
			return fiber.ErrUnauthorized
		}
		id, err := token.Claims.GetSubject()
		if err != nil {
			return err
		}
		var phone string
		var at time.Time
		if err := pool.QueryRow(ctx, `select phone, last_login_at from yardstick where id = $1`, id).Scan(&phone, &at); err != nil {
			return err
		}
		return c.JSON(fiber.Map{"id": id, "phone": phone, "last_login_at": at})
	})
	app.Post("/token/refresh", func(c *fiber.Ctx) error {
		var in struct {
			Refresh string `json:"refresh_token"`
		}
		if err := json.Unmarshal(c.Body(), &in); err != nil {
			return err
		}
		owner, spent, _ := strings.Cut(in.Refresh, ".")
		next := rand.Text()
		var id uuid.UUID
		const rotate = `update yardstick set refresh = $3 where id = $1 and (refresh is null or refresh = $2) returning id`
		if err := pool.QueryRow(ctx, rotate, owner, spent, next).Scan(&id); err != nil {
			return fiber.ErrUnauthorized
		}
		return answer(c, id, next)
	})
	return app.Listen(os.Getenv("HTTP_ADDR"))
}
