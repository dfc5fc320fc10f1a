package accounttest

import (
	"maps"
	"slices"
	"testing"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/phone"
)

// replaced are phones in forms that the migration of phones replaces, and what it makes of them. A phone stays as it is
// if another user has the new form, or if it only looks like an old form.
var replaced = map[string]string{
	"+972599123456":  "+970599123456",
	"+972569123456":  "+970569123456",
	"+972579123456":  "+972579123456",
	"+37744123456":   "+38344123456",
	"+377612345678":  "+377612345678",
	"+38649123456":   "+38349123456",
	"+38643123456":   "+38343123456",
	"+38641123456":   "+38641123456",
	"+24106031234":   "+24166031234",
	"+24107031235":   "+24177031235",
	"+24104031236":   "+24174031236",
	"+2412031237":    "+24162031237",
	"+2417031238":    "+24177031238",
	"+24166031239":   "+24166031239",
	"+22501234567":   "+2250101234567",
	"+22547123456":   "+2250747123456",
	"+22575123456":   "+2250575123456",
	"+22521234567":   "+22521234567",
	"+2250707123457": "+2250707123457",
	"+22990011234":   "+2290190011234",
	"+2290190011235": "+2290190011235",
	"+5215512345678": "+525512345678",
	"+525512345679":  "+525512345679",
	"+541123456789":  "+5491123456789",
	"+5491123456780": "+5491123456780",
	"+551187654321":  "+5511987654321",
	"+551132654321":  "+551132654321",
	"+989121234567":  "+989121234567",

	"+972599000000": "+972599000000", // another user has +970599000000
	"+970599000000": "+970599000000",
}

// OldPhones returns the phones of users for a database of an earlier version, for CheckPhones.
func OldPhones() []string { return slices.Sorted(maps.Keys(replaced)) }

// CheckPhones checks that the migrations have replaced the phones that have another form today, and no others.
func CheckPhones(t *testing.T, s account.Store) {
	t.Helper()
	for old, want := range replaced {
		users, err := s.List(t.Context(), account.Page{Limit: 2, Phone: phone.Search{Prefixes: []string{want}}})
		if err != nil || len(users) != 1 {
			t.Errorf("%s: %d users with %s, %v; want one", old, len(users), want, err)
		}
	}
}
