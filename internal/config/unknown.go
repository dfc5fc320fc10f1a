package config

import (
	"slices"
	"strings"

	"dekamond-otp/internal/setting"
)

// foreign are beginnings of names that other programs read from the same .env file, such as Docker Compose.
var foreign = []string{
	"AWS_",
	"COMPOSE_",
	"DOCKER_",
	"GO",
	"HTTPS_PROXY",
	"HTTP_PROXY",
	"NO_PROXY",
	"OTEL_",
	"POSTGRES_",
	"PUBLISH",
	"SSL_CERT_",
	"TZ",
}

// Unknown returns the names in a .env file that are no settings, sorted: they are probably misspelt.
func Unknown(file map[string]string, providers []setting.Provider) (unknown []string) {
	settings := Names(providers)
	for name := range file {
		isForeign := slices.ContainsFunc(foreign, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
		if !isForeign && !slices.Contains(settings, name) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	return unknown
}
