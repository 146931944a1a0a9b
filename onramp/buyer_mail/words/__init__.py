"""The texts of mails, in the languages that buyers are served in. The page's own are in `client/src/words` and `client/checkout/words`."""
