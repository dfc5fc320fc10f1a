package migrations

import (
	"regexp"
	"strings"
	"testing"
)

var (
	sqlComment = regexp.MustCompile(`--[^\n]*`)
	// breaks matches what a statement of the version before does not survive.
	breaks = regexp.MustCompile(`\b(drop (table|column|index|constraint|default|type)|rename|set not null|type |` +
		`truncate|add (constraint|check|unique|primary|foreign)|create unique index|revoke)\b`)
	addsColumn = regexp.MustCompile(`add column (if not exists )?\w+[^,;]*`)
)

// TestMigrationsOnlyAdd checks that the migrations for Postgres keep the promise of docs/upgrading.md: the version
// before works on the schema of the next, so that copies can be replaced one by one, up and down.
func TestMigrationsOnlyAdd(t *testing.T) {
	names, err := Postgres.names()
	if err != nil || len(names) < 7 {
		t.Fatalf("migrations %v, %v; want all of them", names, err)
	}
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range incompatible(string(text)) {
			t.Errorf("%s has %q, which the version before does not survive", name, fault)
		}
	}
	for _, statement := range []string{
		"alter table users drop column phone",
		"alter table users rename to people",
		"alter table users alter column phone set not null",
		"alter table users\n\tadd column name text not null,\n\tadd column age int",
		"create unique index users_name on users (name)",
	} {
		if len(incompatible(statement)) == 0 {
			t.Errorf("%q is taken for compatible", statement)
		}
	}
}

// incompatible returns the parts of a migration that change or take away what the version before uses.
func incompatible(migration string) []string {
	text := strings.ToLower(sqlComment.ReplaceAllString(migration, ""))
	faults := breaks.FindAllString(text, -1)
	for _, column := range addsColumn.FindAllString(text, -1) {
		if strings.Contains(column, "not null") && !strings.Contains(column, "default") {
			faults = append(faults, column)
		}
	}
	return faults
}
