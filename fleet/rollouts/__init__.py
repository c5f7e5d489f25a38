"""Use cases of rollouts: plan one, operate it, drive it on, say how it stands. The decisions are `fleet.rollout`'s."""
