package doctor

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"dekamond-otp/internal/config"
	"dekamond-otp/internal/token"
)

func TestKeys(t *testing.T) {
	c := load(t, "JWT_SECRET=", "JWT_KEYS=/keys")
	key := token.Key{ID: "ErBDGhgde55BlAwRE", Algorithm: "EdDSA", Made: now.Add(-30 * 24 * time.Hour), Signs: true}
	for _, tc := range []struct {
		change func(k *token.Key)
		c      *config.Config
		want   string
	}{
		{func(*token.Key) {}, c, ""},
		{func(k *token.Key) { k.Made = now.Add(-401 * 24 * time.Hour) }, c, "weak JWT_KEYS"},
		{func(k *token.Key) { k.Made = now.Add(24 * time.Hour) }, c, "weak JWT_KEYS"},
		{func(k *token.Key) { k.WorldReadable = true }, c, "note JWT_KEYS"},
		{func(k *token.Key) { k.Signs = false }, c, "note JWT_KEYS"},
		{func(*token.Key) {}, load(t, "JWT_KEYS=/keys"), "note JWT_SECRET"},
	} {
		k := key
		tc.change(&k)
		if got := strings.Join(bad(examineKeys([]token.Key{k}, nil, tc.c, now)), ", "); got != tc.want {
			t.Errorf("%+v: %s; want %s", k, got, tc.want)
		}
	}
	development := load(t, "APP_ENV=development", "JWT_SECRET=")
	if got := bad(examineKeys(nil, nil, development, now)); !slices.Equal(got, []string{"note JWT_KEYS"}) {
		t.Errorf("before the first start of a development: %v; want a note of the key", got)
	}
	if got := examineKeys(nil, nil, load(t), now); len(got) != 0 {
		t.Errorf("with JWT_SECRET alone: %v; want nothing about keys", got)
	}
	fault := errors.Join(errors.New("one"), errors.New("two"))
	want := findings{{Wrong, "JWT_KEYS", "one; two"}}
	if got := examineKeys(nil, fault, c, now); !slices.Equal(got, want) {
		t.Errorf("unreadable keys: %v; want %v", got, want)
	}
	usual, long := costlyTexts{usual: []string{"fa login"}}, costlyTexts{long: []string{"fa login"}}
	if got := bad(examineTexts(usual, nil)); !slices.Equal(got, []string{"weak texts"}) {
		t.Errorf("a text of two messages: %v; want it weak", got)
	}
	if got := bad(examineTexts(long, nil)); !slices.Equal(got, []string{"note texts"}) {
		t.Errorf("a text of two messages with a longer code: %v; want a note", got)
	}
	if got := bad(examineTexts(costlyTexts{}, io.EOF)); !slices.Equal(got, []string{"wrong SMS_TEXTS"}) {
		t.Errorf("a faulty text: %v; want it wrong", got)
	}
}

func TestExamineLogo(t *testing.T) {
	if got := bad(examineLogo(nil)); len(got) > 0 {
		t.Errorf("a good logo: %v; want no finding", got)
	}
	if got := bad(examineLogo(io.EOF)); !slices.Equal(got, []string{"wrong APP_LOGO"}) {
		t.Errorf("a bad logo: %v; want it to be wrong", got)
	}
}
