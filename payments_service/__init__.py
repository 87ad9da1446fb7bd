"""The Stripe Checkout payments microservice: one package a stage, in the order that a payment takes."""
