package sms

import (
	"fmt"
	"io"

	"dekamond-otp/internal/config"
)

// Open gives the providers that the settings name. The console writes to stdout. A provider reports if it is a
// Reporter whose callbacks can reach this service and prove themselves.
func Open(c *config.Config, stdout io.Writer) (providers []Named, err error) {
	for _, name := range c.UsedProviders() {
		p, hears, err := open(c, name, stdout)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		_, reporter := p.(Reporter)
		providers = append(providers, Named{Name: name, Reports: reporter && hears, Provider: p})
	}
	return providers, nil
}

// open makes one provider, and tells whether it hears of its messages.
func open(c *config.Config, name string, stdout io.Writer) (p Provider, hears bool, err error) {
	hook := ""
	if c.PublicURL != "" {
		hook = c.PublicURL + "/hooks/" + name
	}
	secret := c.HookSecret.Reveal()
	switch name {
	case "console":
		keeps := 0
		if !c.Production {
			keeps = 50
		}
		return NewConsole(stdout, keeps), false, nil
	case "webhook":
		p, err := NewWebhook(WebhookOptions{URL: c.SMSWebhook.URL.Reveal(), Secret: c.SMSWebhook.Secret.Reveal(), Channels: c.SMSWebhook.Channels})
		return p, false, err
	case "smtp":
		p, err := NewSMTP(SMTPOptions{Addr: c.SMTPAddr})
		return p, false, err
	case "twilio":
		return NewTwilio(TwilioOptions{
			AccountSID: c.Twilio.AccountSID, AuthToken: c.Twilio.AuthToken.Reveal(), From: c.Twilio.From,
			BaseURL: c.Twilio.BaseURL, StatusCallback: hook,
		}), hook != "", nil
	case "vonage":
		signature := c.Vonage.SignatureSecret.Reveal()
		switch {
		case hook == "" || signature != "":
		case secret != "":
			hook += "/" + secret
		default: // nobody could tell that a call is Vonage's
			hook = ""
		}
		return NewVonage(VonageOptions{
			APIKey: c.Vonage.APIKey, APISecret: c.Vonage.APISecret.Reveal(), From: c.Vonage.From, BaseURL: c.Vonage.BaseURL,
			Callback: hook, SignatureSecret: signature, SignatureMethod: c.Vonage.SignatureMethod, HookSecret: secret,
		}), signature != "" || secret != "", nil
	case "kavenegar":
		p, err := NewKavenegar(KavenegarOptions{
			APIKey: c.Kavenegar.APIKey.Reveal(), Template: c.Kavenegar.Template, ChangeTemplate: c.Kavenegar.ChangeTemplate,
			Sender: c.Kavenegar.Sender, HookSecret: secret, BaseURL: c.Kavenegar.BaseURL,
		})
		return p, secret != "", err
	case "smsir":
		p, err := NewSMSIR(SMSIROptions{
			APIKey: c.SMSIR.APIKey.Reveal(), TemplateID: c.SMSIR.Template, ChangeTemplateID: c.SMSIR.ChangeTemplate,
			Parameter: c.SMSIR.Parameter, Line: int64(c.SMSIR.Line), BaseURL: c.SMSIR.BaseURL,
		})
		return p, false, err
	case "sns":
		p, err := NewSNS(SNSOptions{Region: c.SNS.Region, SenderID: c.SNS.SenderID, BaseURL: c.SNS.BaseURL})
		return p, false, err
	case "whatsapp":
		return NewWhatsApp(WhatsAppOptions{
			Token: c.WhatsApp.Token.Reveal(), PhoneNumberID: c.WhatsApp.PhoneID, Template: c.WhatsApp.Template,
			Language: c.WhatsApp.Language, BaseURL: c.WhatsApp.BaseURL,
		}), false, nil
	case "telegram":
		return NewTelegram(TelegramOptions{Token: c.Telegram.Token.Reveal(), BaseURL: c.Telegram.BaseURL}), false, nil
	}
	return nil, false, fmt.Errorf("there is no such provider")
}
