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

const (
	createTable = `create table yardstick (
		id            uuid        primary key,
		phone         text        not null unique,
		last_login_at timestamptz not null,
		refresh       text
	)`
	upsert = `insert into yardstick (id, phone, last_login_at) values ($1, $2, now())
		on conflict (phone) do update set last_login_at = now()
		returning id`
	read   = `select phone, last_login_at from yardstick where id = $1`
	rotate = `update yardstick set refresh = $3
		where id = $1 and (refresh is null or refresh = $2)
		returning id`
)

// set keeps a code for two minutes.
var set = redis.NewScript(`redis.call('HSET', KEYS[1], 'code', ARGV[1])
	redis.call('PEXPIRE', KEYS[1], 120000)
	return 1`)

var secret = []byte("0123456789abcdef0123456789abcdef")

// bare serves the calls with nothing but their bare writes.
type bare struct {
	redis   *redis.Client
	pool    *pgxpool.Pool
	webhook *http.Client
}

// yardstick runs the bare server until it fails.
func yardstick(ctx context.Context) error {
	o, err := redis.ParseURL(os.Getenv("REDIS_URL"))
	if err != nil {
		return err
	}
	o.MaxRetries = -1
	c, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	c.MaxConns = 16
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return err
	}
	if _, err := pool.Exec(ctx, createTable); err != nil {
		return err
	}
	b := &bare{
		redis:   redis.NewClient(o),
		pool:    pool,
		webhook: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}},
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Post("/otp/request", b.request)
	app.Post("/otp/verify", b.verify)
	app.Get("/me", b.me)
	app.Post("/token/refresh", b.refresh)
	return app.Listen(os.Getenv("HTTP_ADDR"))
}

type credentials struct {
	Phone string `json:"phone"`
	Code  string `json:"code"`
}

func (b *bare) request(c *fiber.Ctx) error {
	var in credentials
	if err := json.Unmarshal(c.Body(), &in); err != nil {
		return err
	}
	code := fmt.Sprintf("%06d", mathrand.IntN(1e6))
	if err := set.Run(context.Background(), b.redis, []string{"yardstick:" + in.Phone}, code).Err(); err != nil {
		return err
	}
	message, err := json.Marshal(fiber.Map{
		"id":      uuid.NewString(),
		"to":      in.Phone,
		"channel": "sms",
		"code":    code,
		"text":    code + " is your login code.",
		"locale":  "",
	})
	if err != nil {
		return err
	}
	response, err := b.webhook.Post(os.Getenv("SMS_WEBHOOK_URL"), "application/json", bytes.NewReader(message))
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return c.Status(fiber.StatusAccepted).JSON(fiber.Map{
		"phone":       in.Phone,
		"channel":     "sms",
		"expires_in":  120,
		"resend_in":   30,
		"code_length": 6,
	})
}

func (b *bare) verify(c *fiber.Ctx) error {
	var in credentials
	if err := json.Unmarshal(c.Body(), &in); err != nil {
		return err
	}
	code, err := b.redis.HGet(context.Background(), "yardstick:"+in.Phone, "code").Result()
	if err != nil || code != in.Code {
		return fiber.ErrUnauthorized
	}
	var id uuid.UUID
	if err := b.pool.QueryRow(context.Background(), upsert, uuid.New(), in.Phone).Scan(&id); err != nil {
		return err
	}
	return answer(c, id, rand.Text())
}

func (b *bare) me(c *fiber.Ctx) error {
	text, _ := strings.CutPrefix(c.Get("Authorization"), "Bearer ")
	key := func(*jwt.Token) (any, error) { return secret, nil }
	token, err := jwt.Parse(text, key, jwt.WithValidMethods([]string{"HS256"}))
	if err != nil {
		return fiber.ErrUnauthorized
	}
	id, err := token.Claims.GetSubject()
	if err != nil {
		return err
	}
	var phone string
	var at time.Time
	if err := b.pool.QueryRow(context.Background(), read, id).Scan(&phone, &at); err != nil {
		return err
	}
	return c.JSON(fiber.Map{"id": id, "phone": phone, "last_login_at": at})
}

func (b *bare) refresh(c *fiber.Ctx) error {
	var in struct {
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal(c.Body(), &in); err != nil {
		return err
	}
	owner, spent, _ := strings.Cut(in.Refresh, ".")
	next := rand.Text()
	var id uuid.UUID
	if err := b.pool.QueryRow(context.Background(), rotate, owner, spent, next).Scan(&id); err != nil {
		return fiber.ErrUnauthorized
	}
	return answer(c, id, next)
}

// answer sends the tokens of a user.
func answer(c *fiber.Ctx, id uuid.UUID, refresh string) error {
	claims := jwt.MapClaims{"sub": id.String(), "exp": time.Now().Add(15 * time.Minute).Unix()}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(secret)
	if err != nil {
		return err
	}
	return c.JSON(fiber.Map{
		"access_token":  token,
		"token_type":    "Bearer",
		"expires_in":    900,
		"refresh_token": id.String() + "." + refresh,
	})
}
